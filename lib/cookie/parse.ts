/** How many parts are read, whatever `maxCookies` is: it may have been higher when the cookie was set. */
export const MAX_PARTS = 8

/** The name suffixes of the chunks after the first. */
export const CHUNKS: readonly string[] = Array.from({ length: MAX_PARTS - 1 }, (_, nth) => `.${nth + 1}`)

/** How many cookies of one name are tried. A browser has one per path and domain; more are an attempt to waste CPU time. */
const MAX_CANDIDATES = 16

/** The form of the values to look for. */
export interface TokenForm {
  /** The start of every token */
  readonly prefix: string
  isWhole (value: string): boolean
}

/** The cookies of one name in a request. */
export interface Found {
  /** Distinct values to try. If several came and any has the form of a token, only those that do */
  readonly candidates: readonly string[]
  /** Which parts were sent: bit 0 is the name itself, bit n is chunk n */
  readonly parts: number
  /** Whether there are more candidates than are tried */
  readonly more: boolean
}

/**
 * Finds every cookie of a name and joins its chunks. Of several cookies with the same name, `@fastify/cookie` keeps one, which may
 * not be the one that opens, so the header is parsed here (RFC 6265, section 5.4).
 */
export function findCookies (header: string, name: string, form: TokenForm): Found {
  const values: string[][] = []
  let parts = 0
  let from = 0
  for (let at = header.indexOf(name); at !== -1; at = header.indexOf(name, from)) {
    from = at + 1
    if (at !== 0 && !isBoundary(header, at)) continue
    const after = at + name.length
    const part = partAt(header, after)
    if (part === -1) continue
    const start = part === 0 ? after + 1 : after + 3
    const semicolon = header.indexOf(';', start)
    // Skip the value, which may be long: the next cookie starts after it.
    from = semicolon === -1 ? header.length : semicolon
    ;(values[part] ??= []).push(header.slice(start, from).trim())
    parts |= 1 << part
  }
  const [whole = [], ...chunks] = values
  if (whole.length < 2 && chunks.length === 0) return { candidates: whole, parts, more: false }
  const candidates = choose(whole, chunks, form)
  if (candidates.length <= MAX_CANDIDATES) return { candidates, parts, more: false }
  return { candidates: candidates.slice(0, MAX_CANDIDATES), parts, more: true }
}

/** The distinct candidates that have the form of a token. If none has, the first one, so that there is a reason to report. */
function choose (whole: readonly string[], chunks: ReadonlyArray<readonly string[] | undefined>, form: TokenForm): string[] {
  const begun = whole.filter(value => value.startsWith(form.prefix))
  const joined = chunks.length === 0 ? begun : join([...new Set(begun)], chunks, form)
  const tokens = [...new Set(joined.filter(value => form.isWhole(value)))]
  return tokens.length > 0 ? tokens : (joined.length > 0 ? joined : whole).slice(0, 1)
}

function isBoundary (header: string, at: number): boolean {
  let before = at - 1
  while (before > 0 && (header[before] === ' ' || header[before] === '\t')) before--
  return header[before] === ';'
}

/** 0 for `name=`, 1 to 7 for `name.n=`, -1 for anything else. */
export function partAt (header: string, at: number): number {
  if (header[at] === '=') return 0
  if (header[at] !== '.' || header[at + 2] !== '=') return -1
  const part = header.charCodeAt(at + 1) - 48
  return part >= 1 && part < MAX_PARTS ? part : -1
}

/**
 * Every way to join the parts: one of several cookies with the same name may belong to another app, and only the MAC can tell.
 * A complete token takes no chunks: those are left over from a longer token.
 */
function join (whole: readonly string[], chunks: ReadonlyArray<readonly string[] | undefined>, form: TokenForm): string[] {
  let values = [...whole]
  for (const some of chunks) {
    if (some === undefined) break
    const distinct = [...new Set(some)]
    // Cookies of one path arrive in the same order, so the nth cookies of each name probably belong together: try those first.
    values = values
      .flatMap((value, nth) => form.isWhole(value) ? [{ value, far: 0 }] : distinct.map((chunk, at) => ({ value: value + chunk, far: Math.abs(at - nth) })))
      .sort((one, other) => one.far - other.far)
      .slice(0, MAX_CANDIDATES + 1)
      .map(({ value }) => value)
  }
  return values
}

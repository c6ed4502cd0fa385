/** How many parts are read, whatever `maxCookies` says today. */
export const MAX_PARTS = 8

/** What stands behind the name in the cookies that carry the parts after the first. */
export const CHUNKS: readonly string[] = Array.from({ length: MAX_PARTS - 1 }, (_, nth) => `.${nth + 1}`)

/** How many cookies of one name are tried. A browser has one per path and domain; more is an attack on our time. */
const MAX_CANDIDATES = 16

/** The form of the values that are looked for. */
export interface TokenForm {
  /** What every token begins with */
  readonly prefix: string
  isWhole (value: string): boolean
}

/** The cookies of one name in a request. */
export interface Found {
  /** Distinct values to try. Where several came, these have the form of a token, if any of them has */
  readonly candidates: readonly string[]
  /** Which parts came: bit 0 is the name itself, bit n is chunk n */
  readonly parts: number
  /** Whether there are more candidates than will be tried */
  readonly more: boolean
}

/**
 * Finds every cookie of a name, chunks put together. `@fastify/cookie` keeps one of several cookies with the
 * same name, and not always the one that opens, so the header is read here (RFC 6265, section 5.4).
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
    // The next cookie starts after this value, which may be long and is not searched.
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

/** The distinct candidates that have the form of a token; the first one where none has, so that there is a reason. */
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
 * Every way to put parts together: one of a name may be a stranger's, and only the MAC can tell.
 * A token that is whole takes no more of them: the chunks next to it are left over from a longer one.
 */
function join (whole: readonly string[], chunks: ReadonlyArray<readonly string[] | undefined>, form: TokenForm): string[] {
  let values = [...whole]
  for (const some of chunks) {
    if (some === undefined) break
    const distinct = [...new Set(some)]
    // Cookies of one path arrive together, so the nth of each name belong together: those ways come first.
    values = values
      .flatMap((value, nth) => form.isWhole(value) ? [{ value, far: 0 }] : distinct.map((chunk, at) => ({ value: value + chunk, far: Math.abs(at - nth) })))
      .sort((one, other) => one.far - other.far)
      .slice(0, MAX_CANDIDATES + 1)
      .map(({ value }) => value)
  }
  return values
}

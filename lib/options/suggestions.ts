/**
 * What to use instead of an option that this package does not have. The names are those of @fastify/secure-session,
 * @fastify/session, express-session, iron-session, cookie-session, h3 and Starlette, in lower case without `_` and `-`.
 * A Map, because the names looked up come from the caller.
 */
const ADVICE = new Map<string, string>()

function advise (advice: string, ...names: string[]): void {
  for (const name of names) ADVICE.set(name, advice)
}

advise('Use idleTimeout, in seconds', 'expiry', 'expires', 'expiresin', 'expiration', 'ttl', 'maxage', 'duration', 'activeduration', 'timeout')
advise('Use secret', 'key', 'password', 'secretkey', 'sessionsecret', 'encryptionkey')
advise('Use secret, which may be an array with the newest secret first', 'keys', 'secrets', 'passwords', 'keygrip')
advise('Use cookieName; sessionName names the property of the request', 'name', 'sessioncookie')
advise('Use sessionName', 'requestkey', 'decoratorname', 'sessionkey')
advise('Use cookie', 'cookieoptions', 'cookieattributes')
for (const name of ['path', 'domain', 'httpOnly', 'sameSite', 'secure', 'priority', 'partitioned']) advise(`Use cookie: { ${name} }`, name.toLowerCase())
advise('Use cookie: { secure }', 'httpsonly')
advise('Set trustProxy on Fastify: Fastify({ trustProxy: … })', 'proxy', 'secureproxy', 'trustproxy')
advise('Leave it out: a new session that stays empty is never saved', 'saveuninitialized')
advise('Leave it out: a session is saved where it has changed, and re-sealed as `rolling` says', 'resave')
advise('Leave it out: call request.session.destroy() to end a session', 'unset')
advise('Leave it out: ids are 128 random bits', 'genid', 'generateid', 'idgenerator')
advise('Leave it out: every cookie is sealed, which includes a signature', 'signed', 'cookie.signed')
advise('Leave it out: it has no effect on a sealed cookie', 'overwrite', 'cookie.overwrite', 'cookie.encode', 'cookieprefix')
advise('Leave it out: every seal carries its own salts', 'salt')
advise('Use iron for other parameters of the Iron protocol', 'seal', 'algorithm', 'hashalgorithm', 'cryptography', 'crypto')
advise('Use maxCookies', 'chunk', 'chunks')
advise('Use store', 'sessionstore')
advise('Use interop', 'legacysealfallback')
advise('Leave it out: sessions are read from cookies only', 'sessionheader')
advise('Leave it out: read request.session.info.reason, or subscribe to the channel fastify-sealed-session.rejected', 'onunsealerror')
advise('Use cookieName', 'cookie.name')
advise('Use idleTimeout, in seconds', 'cookie.originalmaxage', 'cookie.ttl')
advise('Use secret, or encryption and integrity', 'secret.password', 'secret.key', 'secret.value')

/** No option has a longer name, and longer ones need not be compared. */
const MAX_NAME = 40

const plain = (name: string): string => name.toLowerCase().replace(/[_-]/g, '')

/**
 * What the caller may have meant by an unknown option, as a sentence.
 * @param path the option with its group: `ttl`, `cookie.signed`, `secret[1].key`
 * @param name the last part of the path
 * @param known the names that the group has
 */
export function suggest (path: string, name: string, known: readonly string[]): string {
  const advice = ADVICE.get(plain(path.replace(/\[\d+\]/, '')))
  if (advice !== undefined) return advice
  const nearest = findNearest(name, known)
  return nearest === undefined ? `The known names are ${known.join(', ')}` : `Did you mean ${nearest}?`
}

/** The known name that a typo is closest to: one edit in three characters, two at most. */
function findNearest (name: string, known: readonly string[]): string | undefined {
  if (name.length > MAX_NAME) return undefined
  const distances = known.map(one => ({ one, distance: editDistance(plain(name), plain(one)) }))
  const [nearest] = distances.sort((a, b) => a.distance - b.distance)
  return nearest !== undefined && nearest.distance <= Math.min(2, name.length / 3) ? nearest.one : undefined
}

/** Insertions, deletions, substitutions and swaps of neighbours between two strings (optimal string alignment). */
function editDistance (from: string, to: string): number {
  const rows = [Array.from({ length: to.length + 1 }, (_, at) => at)]
  for (let i = 1; i <= from.length; i++) {
    const row = [i]
    for (let j = 1; j <= to.length; j++) {
      const isSame = from[i - 1] === to[j - 1]
      row[j] = Math.min(rows[i - 1]![j]! + 1, row[j - 1]! + 1, rows[i - 1]![j - 1]! + (isSame ? 0 : 1))
      const isSwap = i > 1 && j > 1 && from[i - 1] === to[j - 2] && from[i - 2] === to[j - 1]
      if (isSwap) row[j] = Math.min(row[j]!, rows[i - 2]![j - 2]! + 1)
    }
    rows.push(row)
  }
  return rows[from.length]![to.length]!
}

import { findCookies } from '../cookie/parse.js'
import { tokenForm } from '../seal/token.js'
import { UsageError } from './command.js'

/**
 * The tokens in what was pasted: a cookie's value, `name=value`, a whole `Cookie` header or `Set-Cookie` lines, with or without
 * the name of the header. Chunks are put together.
 * @param name the cookie's name
 * @param isGiven whether the user has given the name; otherwise a single cookie with another name is taken too
 * @returns distinct candidates; none if the cookie is not there
 * @throws UsageError where several cookies could be meant
 */
export function findTokens (pasted: string, name: string, isGiven: boolean): readonly string[] {
  const header = pasted.split(/\r?\n/).map(line => line.replace(/^\s*(?:[<>]\s*)?(?:set-)?cookie:/i, '').trim()).filter(line => line !== '').join('; ')
  // A seal contains no equals sign, and each cookie of a header has one.
  if (!header.includes('=') || header.startsWith(tokenForm.prefix)) return [header.replace(/;.*$/s, '').trim()]
  const { candidates } = findCookies(header, name, tokenForm)
  if (candidates.length > 0 || isGiven) return candidates
  const names = namesOfSeals(header)
  if (names.length > 1) throw new UsageError(`Several cookies may be the session: ${names.join(', ')}. Choose one with --cookie`)
  return names.flatMap(name => findCookies(header, name, tokenForm).candidates)
}

function namesOfSeals (header: string): string[] {
  const pairs = header.split(';').map(pair => pair.trim().split('='))
  return [...new Set(pairs.flatMap(([name, value]) => value?.startsWith(tokenForm.prefix) === true ? [name!] : []))]
}

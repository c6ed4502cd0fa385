import type { FastifyReply } from 'fastify'

/** Says that the answer depends on the cookie (RFC 9110, section 12.5.5), once, beside what is there. */
export function varyByCookie (reply: FastifyReply): void {
  const before = reply.getHeader('vary')
  if (before === undefined) {
    reply.header('vary', 'Cookie')
    return
  }
  const names = String(before)
  if (!/(?:^|,)\s*(?:\*|cookie)\s*(?:,|$)/i.test(names)) reply.header('vary', `${names}, Cookie`)
}

/**
 * Keeps shared caches from replaying a session cookie. Directives that the app set stay; where none of them
 * forbids it, `private` is added, the strictest of conflicting directives being the one that holds
 * (RFC 9111, sections 4.2.1 and 5.2.2.7).
 */
export function markUncacheable (reply: FastifyReply): void {
  const before = reply.getHeader('cache-control')
  if (before === undefined) {
    reply.header('cache-control', 'private, no-cache')
    return
  }
  const directives = String(before)
  // `private="Set-Cookie"` is about a field alone and not enough: many caches know the plain form only.
  if (!/(?:^|,)\s*(?:private|no-store)\s*(?:,|$)/i.test(directives)) reply.header('cache-control', `${directives}, private`)
}

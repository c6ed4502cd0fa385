import type { FastifyReply } from 'fastify'

/** Adds `Cookie` to `Vary` (RFC 9110, section 12.5.5), unless it is there already. */
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
 * Keeps shared caches from storing a response with a session cookie. Directives set by the app are kept; unless one of them forbids
 * storing, `private` is added. Of conflicting directives, caches honor the most restrictive (RFC 9111, sections 4.2.1 and 5.2.2.7).
 */
export function markUncacheable (reply: FastifyReply): void {
  const before = reply.getHeader('cache-control')
  if (before === undefined) {
    reply.header('cache-control', 'private, no-cache')
    return
  }
  const directives = String(before)
  // `private="Set-Cookie"` is not enough: it covers one field, and many caches support the plain form only.
  if (!/(?:^|,)\s*(?:private|no-store)\s*(?:,|$)/i.test(directives)) reply.header('cache-control', `${directives}, private`)
}

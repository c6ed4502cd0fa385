import type { FastifyReply, FastifyRequest } from 'fastify'

const PAGE = '<!doctype html><title>…</title>'

/**
 * Whether a request is a page that another site has led to, so that its browser sent the session's cookie (`SameSite=Lax`), but
 * did not refresh the proof. Loaded again from a page of our own, it comes with the proof.
 */
export function mayBeReloaded ({ raw: { method, headers } }: FastifyRequest): boolean {
  const site = headers['sec-fetch-site']
  return (site === 'cross-site' || site === 'same-site') && method === 'GET' && headers['sec-fetch-mode'] === 'navigate' &&
    headers['sec-fetch-dest'] === 'document' && headers['secure-session-skipped'] === undefined
}

/**
 * A page that loads itself again, without a script. A header does that under every Content-Security-Policy. It names its URL,
 * without the fragment: a page with one would only be scrolled. `/.` keeps a path that starts with two slashes from being a host.
 */
export function answerReload ({ originalUrl }: FastifyRequest, reply: FastifyReply): void {
  reply.code(200).headers({ refresh: `0;url=/.${originalUrl}`, 'cache-control': 'no-store', 'content-type': 'text/html; charset=utf-8' }).send(PAGE)
}

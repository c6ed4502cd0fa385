import type { SessionData } from 'fastify-sealed-session'
import { html, loginForm } from '../pages.mjs'
import type { Page } from '../pages.mjs'

interface Home { half: string, session: Pick<SessionData, 'user' | 'views'>, other: string, message?: string }

/** The page of both halves, from one session. */
export function homePage ({ half, session: { user, views = 0 }, other, message }: Home): Page {
  return {
    title: `The ${half} half`,
    message,
    main: html`
<p>Pages seen in this session, in both halves: <strong>${views}</strong>.</p>
${user === undefined
  ? loginForm()
  : html`<p>Hello, ${user.name}.</p>
<form method="post" action="/logout"><button>Log out</button></form>`}
<p><a href="${other}">Go to the other half</a></p>`
  }
}

export const notFoundPage: Page = { title: 'Page not found', main: html`<p><a href="/">Go to the start page</a></p>` }

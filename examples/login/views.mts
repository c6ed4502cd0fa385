import type { SessionInfo } from 'fastify-sealed-session'
import { html, loginForm } from '../pages.mjs'
import type { Html, Page } from '../pages.mjs'

export const nav = html`<a href="/">Home</a> <a href="/private">Private page</a> <a href="/session">The session</a>`

/** Where @fastify/csrf-protection looks for the token. */
export const hiddenToken = (csrfToken: string): Html => html`<input type="hidden" name="_csrf" value="${csrfToken}">\n`

interface Home {
  user: { name: string } | undefined
  views: number
  /** For the forms, which only users see */
  csrfToken: string | undefined
  message: string | undefined
  hasDevices: boolean
}

export function homePage ({ user, views, csrfToken = '', message, hasDevices }: Home): Page {
  const times = views === 1 ? 'once' : `${views} times`
  return {
    title: user === undefined ? 'Hello' : `Hello, ${user.name}`,
    nav,
    message,
    main: html`
<p>In this session you have seen this page <strong>${times}</strong>.</p>
${user === undefined
  ? html`<p>You are not logged in. <a href="/login">Log in</a></p>`
  : html`<form method="post" action="/logout">${hiddenToken(csrfToken)}<button>Log out</button></form>`}
${user && hasDevices
  ? html`<p><a href="/devices">Where you are logged in</a></p>`
  : undefined}`
  }
}

export function loginPage ({ csrfToken, name, message }: { csrfToken: string, name?: string, message: string | undefined }): Page {
  return { title: 'Log in', nav, message, main: loginForm({ name, hidden: hiddenToken(csrfToken) }) }
}

export function privatePage (name: string): Page {
  return { title: 'Private page', nav, main: html`<p>Only users who are logged in see this page. That is you, ${name}.</p>` }
}

export function sessionPage (data: object, info: SessionInfo): Page {
  return {
    title: 'The session',
    nav,
    main: html`
<p><code>request.session</code></p>
<pre>${JSON.stringify(data, undefined, 2)}</pre>
<p><code>request.session.info</code></p>
<pre>${JSON.stringify(info, undefined, 2)}</pre>`
  }
}

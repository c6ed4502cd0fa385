import { html, loginForm } from '../pages.mjs'
import type { Page } from '../pages.mjs'
import type { Tenant } from './app.mjs'

/** @param port with its colon, or empty */
export function indexPage (tenants: Tenant[], port: string): Page {
  return {
    title: 'Tenants',
    main: html`
<ul>${tenants.map(({ host, title }) => html`<li><a href="//${host}${port}/">${title}</a></li>`)}</ul>
<p>Each tenant has its own sessions: after a login at one, you are still logged out of the other.</p>`
  }
}

interface Home { tenant: Tenant, port: string, user?: { name: string } | undefined, views?: number, message?: string }

export function tenantPage ({ tenant, port, user, views = 0, message }: Home): Page {
  const times = views === 1 ? 'once' : `${views} times`
  return {
    title: tenant.title,
    nav: html`<a href="//localhost${port}/">All tenants</a>`,
    message,
    main: user === undefined
      ? loginForm({ names: tenant.members })
      : html`
<p>Hello, ${user.name}. In this session you have seen this page ${times}.</p>
<form method="post" action="/logout"><button>Log out</button></form>`
  }
}

import type { ListedSession } from 'fastify-sealed-session'
import { hiddenToken, nav } from '../login/views.mjs'
import { html } from '../pages.mjs'
import type { Html, Page } from '../pages.mjs'

const units: Array<[Intl.RelativeTimeFormatUnit, seconds: number]> = [['day', 86_400], ['hour', 3600], ['minute', 60]]
const format = new Intl.RelativeTimeFormat('en', { numeric: 'auto' })

/** "5 minutes ago", the same in every time zone. */
function ago (date: Date): Html {
  const seconds = (Date.now() - date.getTime()) / 1000
  const [unit, length] = units.find(([, length]) => seconds >= length) ?? []
  const text = unit === undefined ? 'just now' : format.format(-Math.floor(seconds / length!), unit)
  return html`<time datetime="${date.toISOString()}">${text}</time>`
}

const deviceOf = ({ data: { device } }: ListedSession): string => device ?? 'Unknown device'

function row (session: ListedSession, isOwn: boolean): Html {
  const { id, createdAt, lastSeenAt } = session
  const device = deviceOf(session)
  return html`
<li class="row">
<div><strong>${device}</strong><br>
<span class="quiet">Logged in ${ago(createdAt)}, <span class="unit">${isOwn ? 'in use now' : html`last seen ${ago(lastSeenAt)}`}</span></span></div>
${isOwn
  ? html`<span class="badge">This device</span>`
  : html`<form action="/devices/end"><button class="plain" name="id" value="${id}" aria-label="End ${device}">End</button></form>`}
</li>`
}

interface Devices { sessions: ListedSession[], ownId: string, message: string | undefined }

export function devicesPage ({ sessions, ownId, message }: Devices): Page {
  const own = sessions.filter(({ id }) => id === ownId)
  const others = sessions.filter(({ id }) => id !== ownId)
  return {
    title: 'Where you are logged in',
    nav,
    message,
    extraStyle: `
  .unit { display: inline-block }
  .badge { flex: none; font-size: .875rem; padding: .125rem .625rem; border: 1px solid var(--accent); border-radius: 1rem }
`,
    main: html`
<ul>${own.map(session => row(session, true))}${others.map(session => row(session, false))}</ul>
${others.length === 0
  ? html`<p class="quiet">You are not logged in anywhere else.</p>`
  : html`<form action="/devices/end"><button>End all others</button></form>`}`
  }
}

interface Confirm { target: ListedSession | undefined, csrfToken: string, message: string | undefined }

/** @param page.target the session to end; without it, all but the user's own */
export function confirmPage ({ target, csrfToken, message }: Confirm): Page {
  return {
    title: target === undefined ? 'End all other sessions' : 'End a session',
    nav,
    message,
    main: html`
<p>Enter your password to log out ${target === undefined ? 'everywhere else' : html`of <strong>${deviceOf(target)}</strong>`}.</p>
<form class="box" method="post" action="/devices/end">
${hiddenToken(csrfToken)}${target && html`<input type="hidden" name="id" value="${target.id}">`}
<label>Password <input name="password" type="password" autocomplete="current-password" required autofocus></label>
<button>${target === undefined ? 'End all others' : 'End session'}</button>
</form>
<p><a href="/devices">Cancel</a></p>`
  }
}

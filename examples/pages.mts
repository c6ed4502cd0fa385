import { STATUS_CODES } from 'node:http'
import type { FastifyError, FastifyInstance, FastifyReply } from 'fastify'

// What the pages of all examples have in common.

/** HTML that has been escaped already. */
export class Html {
  constructor (readonly text: string) {}
  toString (): string { return this.text }
}

type Value = Html | readonly Html[] | string | number | undefined

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

function escape (value: Value): string {
  if (value instanceof Html) return value.text
  if (typeof value === 'object') return value.join('')
  return String(value ?? '').replace(/[&<>"']/g, character => entities[character]!)
}

/** Escapes every value that is not HTML already, so that no page can forget to: html`<p>${name}</p>` */
export function html (strings: TemplateStringsArray, ...values: Value[]): Html {
  return new Html(String.raw({ raw: strings }, ...values.map(escape)))
}

export const style = `
  :root { color-scheme: light dark; --accent: #0b6bcb; --on-accent: #fff; --line: #8888; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 34rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; overflow-wrap: anywhere }
  nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding-bottom: .75rem; border-bottom: 1px solid var(--line) }
  a { color: var(--accent) }
  h1 { font-size: 1.5rem; line-height: 1.25; margin: 1.25rem 0 .75rem }
  h1:focus { outline: none }
  form { margin: 1rem 0 }
  form.box, pre, .message { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem }
  label { display: block; font-weight: 600; margin-bottom: .75rem }
  input { display: block; box-sizing: border-box; width: 100%; font: inherit; font-weight: 400; padding: .5rem; margin-top: .25rem;
    border: 1px solid #888; border-radius: .375rem }
  button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: 0 1.25rem; border: 1px solid var(--accent);
    border-radius: .375rem; background: var(--accent); color: var(--on-accent); cursor: pointer; white-space: nowrap }
  button.plain { background: none; color: inherit; border-color: #888 }
  ul { list-style: none; margin: 1.5rem 0; padding: 0 }
  li { padding: .5rem 0; border-top: 1px solid var(--line) }
  li.row { display: flex; gap: 1rem; align-items: center; justify-content: space-between }
  li.row > :first-child { min-width: 0 }
  li.row > button, li.row > form { flex: none; margin: 0 }
  pre { overflow-x: auto; font-size: .875rem; margin: .5rem 0 1rem }
  .message { border-color: var(--accent); margin: 1rem 0 }
  .message:empty { border: 0; padding: 0; margin: 0 }
  .quiet { opacity: .75 }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
  @media (prefers-color-scheme: dark) { :root { --accent: #5aa9ff; --on-accent: #001 } }
`

/** A padlock. As part of the page it needs no route, and no session is loaded for it. */
const icon = 'data:image/svg+xml,' + encodeURIComponent(`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 16 16">
<rect width="16" height="16" rx="4" fill="#0b6bcb"/>
<path fill="#fff" d="M4 7h8v6H4zm1 0V5a3 3 0 0 1 6 0v2H9.5V5a1.5 1.5 0 0 0-3 0v2z"/></svg>`)

export interface Page {
  title: string
  main: Html
  nav?: Html
  /** Shown in a box, and read out by screen readers */
  message?: string | undefined
  /** CSS of this page alone; like the script, it never contains anything from outside */
  extraStyle?: string
  script?: string
}

export function page ({ title, main, nav, message, extraStyle = '', script }: Page): string {
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<link rel="icon" href="${icon}">
<style>${new Html(style + extraStyle)}</style>
</head>
<body>
${nav && html`<nav>${nav}</nav>`}
<main>
<h1 id="title" tabindex="-1">${title}</h1>
<p id="message" class="message" role="status">${message}</p>
${main}
</main>
${script && html`<script>${new Html(script)}</script>`}
</body>
</html>
`.text
}

interface LoginForm {
  /** Who can log in here */
  names?: string[]
  /** What was typed before */
  name?: string | undefined
  /** Anything else that the form sends */
  hidden?: Html
}

export function loginForm ({ names = ['ada', 'grace', 'linus'], name = '', hidden }: LoginForm = {}): Html {
  const list = new Intl.ListFormat('en', { type: 'disjunction' }).format(names)
  return html`
<form id="login" class="box" method="post" action="/login">
${hidden}<label>Name <input id="name" name="name" value="${name}" autocomplete="username" autocapitalize="none" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
<p class="quiet">This is a demo. Log in as ${list}; the password is <code>fastify</code>.</p>`
}

/** For the return value of a route handler. */
export function sendPage (reply: FastifyReply, content: Page): string {
  // Pages show who is logged in: after a logout the Back button must not find them in the browser's cache.
  reply.type('text/html; charset=utf-8').header('cache-control', 'no-store')
  return page(content)
}

/** Pages for unknown paths and errors, instead of Fastify's JSON. They never read the session: it may be what failed. */
export function addErrorPages (app: FastifyInstance): void {
  app.setNotFoundHandler(async (_request, reply) => sendPage(reply.code(404), {
    title: 'Page not found', main: html`<p>There is nothing at this address. <a href="/">Go to the start page</a></p>`
  }))

  app.setErrorHandler<FastifyError>(async (error, request, reply) => {
    const { code = '', statusCode: status = 500 } = error
    request.log[status < 500 ? 'info' : 'error']({ err: error }, 'request failed')
    const [title, text] = explain(code, status)
    const link = request.method === 'GET' && status >= 500
      ? html`<a href="${request.url}">Try again</a>`
      : html`<a href="/">Go to the start page</a>`
    return sendPage(reply.code(status), { title, main: html`<p>${text} ${link}</p><p class="quiet">${status} ${code}</p>` })
  })
}

function explain (code: string, status: number): [title: string, text: string] {
  if (code === 'FST_SESSION_STORE') return ['Please try again in a minute', 'Your session cannot be reached just now, but it is not lost.']
  if (code.startsWith('FST_CSRF_')) {
    return ['This form is out of date', 'Your session has changed since the page was loaded, perhaps in another tab.']
  }
  if (status < 500) return [STATUS_CODES[status] ?? 'Bad request', 'This request could not be handled.']
  return ['Something went wrong', 'The error has been logged.']
}

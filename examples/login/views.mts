import type { SessionInfo } from 'fastify-sealed-session'

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }

/** Everything that comes from outside goes through here. */
function escape (text: string): string {
  return text.replace(/[&<>"']/g, character => entities[character]!)
}

const style = `
  :root { color-scheme: light dark; --accent: #0b6bcb; --line: #8885; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 34rem; margin: 0 auto; padding: 1.5rem 1rem 3rem }
  nav { display: flex; flex-wrap: wrap; gap: .25rem 1rem; padding-bottom: .75rem; border-bottom: 1px solid var(--line) }
  a { color: var(--accent) }
  h1 { font-size: 1.5rem; margin: 1.25rem 0 .5rem }
  form.box, pre, .message { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem }
  label { display: block; font-weight: 600; margin-bottom: .75rem }
  input { display: block; box-sizing: border-box; width: 100%; font: inherit; padding: .5rem; margin-top: .25rem;
    border: 1px solid #888; border-radius: .375rem }
  button { font: inherit; font-weight: 600; padding: .5rem 1.25rem; border: 0; border-radius: .375rem;
    background: var(--accent); color: #fff; cursor: pointer }
  form + form { margin-top: .75rem }
  button.plain { background: none; color: inherit; border: 1px solid #888; padding: calc(.5rem - 1px) calc(1.25rem - 1px) }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
  pre { overflow-x: auto; font-size: .875rem; margin: .5rem 0 }
  .message { border-color: var(--accent) }
  .quiet { opacity: .75 }
  @media (prefers-color-scheme: dark) { :root { --accent: #5aa9ff } button:not(.plain) { color: #001 } }
`

function page (title: string, body: string, message?: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${escape(title)}</title>
<style>${style}</style>
</head>
<body>
<nav><a href="/">Home</a> <a href="/private">Private page</a> <a href="/session">The session</a></nav>
<main>
<h1>${escape(title)}</h1>
${message === undefined ? '' : `<p class="message" role="status">${escape(message)}</p>`}
${body}
</main>
</body>
</html>
`
}

interface Home { user: { name: string } | undefined, views: number, message: string | undefined, everywhere: boolean }

export function homePage ({ user, views, message, everywhere }: Home): string {
  const times = views === 1 ? 'once' : `${views} times`
  return page(user === undefined ? 'Hello' : `Hello, ${user.name}`, `
<p>In this session you have seen this page <strong>${times}</strong>.</p>
${user === undefined
  ? '<p>You are not logged in. <a href="/login">Log in</a></p>'
  : '<form method="post" action="/logout"><button>Log out</button></form>'}
${user !== undefined && everywhere
  ? '<form method="post" action="/logout-everywhere"><button class="plain">Log out everywhere</button></form>'
  : ''}`, message)
}

export function loginPage ({ name = '', message }: { name?: string, message: string | undefined }): string {
  return page('Log in', `
<form class="box" method="post" action="/login">
<label>Name <input name="name" value="${escape(name)}" autocomplete="username" autocapitalize="none" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
<p class="quiet">A demo: the names are ada, grace and linus, the password is <code>fastify</code>.</p>`, message)
}

export function privatePage (name: string): string {
  return page('Private page', `<p>Only who is logged in sees this. That is you, ${escape(name)}.</p>`)
}

export function sessionPage (data: object, info: SessionInfo): string {
  return page('The session', `
<p><code>request.session</code></p>
<pre>${escape(JSON.stringify(data, undefined, 2))}</pre>
<p><code>request.session.info</code></p>
<pre>${escape(JSON.stringify(info, undefined, 2))}</pre>`)
}

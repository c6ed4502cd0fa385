import type { SessionData } from 'fastify-sealed-session'

const entities: Record<string, string> = { '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' }
const escape = (text: string): string => text.replace(/[&<>"']/g, character => entities[character]!)

interface Page { half: string, session: Pick<SessionData, 'user' | 'views'>, other: string, message?: string }

/** The page of both halves, from one session. */
export const page = ({ half, session: { user, views = 0 }, other, message = '' }: Page): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${half}</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 34rem; margin: 0 auto; padding: 1.5rem 1rem }
  label { display: block; margin-bottom: .75rem }
  input, button { font: inherit; box-sizing: border-box; padding: .5rem }
  input { display: block; width: 100% }
</style>
</head>
<body>
<main>
<h1>The ${half} half</h1>
<p role="status">${message}</p>
<p>Pages seen in this session, in both halves: <strong>${views}</strong>.</p>
${user === undefined
  ? `<form method="post" action="/login">
<label>Name <input name="name" autocomplete="username" autocapitalize="none" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
<p>A demo: the names are ada, grace and linus, the password is <code>fastify</code>.</p>`
  : `<p>Hello, ${escape(user.name)}.</p>
<form method="post" action="/logout"><button>Log out</button></form>`}
<p><a href="${escape(other)}">The other half</a></p>
</main>
</body>
</html>
`

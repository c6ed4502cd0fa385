// Nothing that comes from outside is shown in these pages: where something is, escape it.
function page (title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
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
<h1>${title}</h1>
${body}
</main>
</body>
</html>
`
}

export function loginPage (message = ''): string {
  return page('Log in', `
<p role="alert">${message}</p>
<form method="post" action="/login">
<label>Name <input name="name" value="ada" autocomplete="username"></label>
<label>Password (fastify) <input name="password" type="password" value="fastify" autocomplete="current-password"></label>
<button>Log in</button>
</form>`)
}

interface UserPage { user: { name: string }, bound: boolean, provenAt: Date | null, message?: string }

export function userPage ({ user, bound, provenAt, message = '' }: UserPage): string {
  const state = bound
    ? `This session is <strong>bound to this device</strong>, which was proven at ${provenAt!.toLocaleTimeString('en')}.`
    : 'This session is <strong>not bound</strong>. A browser that can bind it has done so by the time you <a href="/">load this page again</a>.'
  return page(`Hello, ${user.name}`, `
<p>${state}</p>
<p role="status">${message}</p>
<p><a href="/thief">What does a thief see who has copied the session's cookie?</a></p>
<form method="post" action="/transfer"><button>Send money (wants a proof of the last 30 seconds)</button></form>
<form method="post" action="/logout"><button>Log out</button></form>`)
}

export function thiefPage ({ user, reason }: { user: string | null, reason: string | null }): string {
  return page('The thief', user === null
    ? `<p>Nothing: the session is <code>${reason!}</code>. <a href="/">Back</a></p>`
    : '<p>Everything, since the session is not bound. <a href="/">Back</a></p>')
}

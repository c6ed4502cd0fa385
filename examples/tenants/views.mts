import type { Tenant } from './app.mjs'

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

/** @param port with its colon, or empty */
export function indexPage (tenants: Tenant[], port: string): string {
  const items = tenants.map(({ host, title }) => `<li><a href="//${host}${port}/">${title}</a></li>`)
  return page('Tenants', `<ul>${items.join('')}</ul>\n<p>Log in to one: at the other you are still a stranger.</p>`)
}

interface TenantPage { tenant: Tenant, user?: { name: string } | undefined, views?: number, message?: string }

export function tenantPage ({ tenant, user, views = 0, message = '' }: TenantPage): string {
  if (user !== undefined) {
    return page(tenant.title, `
<p>Hello, ${user.name}. In this session you have seen this page ${views} times.</p>
<form method="post" action="/logout"><button>Log out</button></form>`)
  }
  return page(tenant.title, `
<p role="status">${message}</p>
<form method="post" action="/login">
<label>Name <input name="name" autocomplete="username" autocapitalize="none" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
<p>A demo: the members are ${tenant.members.join(' and ')}, the password is <code>fastify</code>.</p>`)
}

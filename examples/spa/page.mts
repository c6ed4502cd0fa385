import { createHash } from 'node:crypto'

const style = `
  :root { color-scheme: light dark; --accent: #0b6bcb; --on-accent: #fff; --line: #888; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 34rem; margin: 0 auto; padding: 1.5rem 1rem 3rem; overflow-wrap: anywhere }
  h1 { font-size: 1.5rem; margin: 0 0 .5rem }
  h1:focus { outline: none }
  #message { min-height: 1.5rem }
  label { display: block; font-weight: 600; margin-bottom: .75rem }
  input { display: block; box-sizing: border-box; width: 100%; font: inherit; padding: .5rem; margin-top: .25rem;
    border: 1px solid var(--line); border-radius: .375rem }
  button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: 0 1.25rem; border: 1px solid var(--accent);
    border-radius: .375rem; background: var(--accent); color: var(--on-accent); cursor: pointer }
  button.plain { background: none; color: inherit; border-color: var(--line) }
  ul { list-style: none; margin: 1.5rem 0; padding: 0 }
  li { display: flex; gap: 1rem; align-items: center; justify-content: space-between; padding: .5rem 0; border-top: 1px solid var(--line) }
  li span { min-width: 0 }
  :focus-visible { outline: 3px solid var(--accent); outline-offset: 2px }
  @media (prefers-color-scheme: dark) { :root { --accent: #5aa9ff; --on-accent: #001 } }
`

// The script never sees the session: its cookie is HttpOnly, and the browser sends it with every fetch to this origin.
const script = `
  const byId = id => document.getElementById(id)
  const say = text => { byId('message').textContent = text }

  async function api (method, path, body) {
    const response = await fetch('/api/' + path, body === undefined
      ? { method }
      : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    const answer = response.status === 204 ? undefined : await response.json()
    if (!response.ok) throw Object.assign(new Error(answer.message), { status: response.status })
    return answer
  }

  async function show (user) {
    const todos = user === undefined ? [] : await api('GET', 'todos')
    byId('title').textContent = user === undefined ? 'Log in' : 'To do, ' + user.name
    byId('strangers').hidden = user !== undefined
    byId('users').hidden = user === undefined
    byId('list').replaceChildren(...todos.map(item))
  }

  function item ({ id, text }) {
    const entry = document.createElement('li')
    const label = document.createElement('span')
    label.textContent = text
    const done = document.createElement('button')
    done.className = 'plain'
    done.textContent = 'Done'
    done.setAttribute('aria-label', 'Done: ' + text)
    done.onclick = attempt(async () => {
      await api('DELETE', 'todos/' + id)
      entry.remove()
      byId('title').focus()
      say('Done: ' + text)
    })
    entry.append(label, done)
    return entry
  }

  /** A handler of events that says what went wrong. A session may end at any time: then the login is shown again. */
  const attempt = action => async event => {
    event.preventDefault()
    try {
      await action(event.target)
    } catch (error) {
      if (error.status === 401) await show(undefined)
      say(error.message)
    }
  }

  byId('login').onsubmit = attempt(async form => {
    const user = await api('POST', 'login', Object.fromEntries(new FormData(form)))
    form.reset()
    await show(user)
    byId('text').focus()
    say('You are logged in.')
  })

  byId('logout').onclick = attempt(async () => {
    await api('POST', 'logout', {})
    await show(undefined)
    byId('name').focus()
    say('You are logged out.')
  })

  byId('add').onsubmit = attempt(async form => {
    const todo = await api('POST', 'todos', Object.fromEntries(new FormData(form)))
    form.reset()
    byId('list').append(item(todo))
    say('Added: ' + todo.text)
  })

  // At every showing, the Back button's too: the session may have ended meanwhile.
  addEventListener('pageshow', async () => {
    try {
      await show(await api('GET', 'me'))
    } catch (error) {
      await show(undefined)
      if (error.status !== 401) say(error.message)
    }
  })
`

/** One page, whoever asks for it: what it shows comes from the API. */
export const page = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>To do</title>
<link rel="icon" href="data:,">
<style>${style}</style>
</head>
<body>
<main>
<h1 id="title" tabindex="-1">To do</h1>
<p id="message" role="status"></p>
<noscript><p>This page needs JavaScript.</p></noscript>
<section id="strangers" hidden>
<form id="login">
<label>Name <input id="name" name="name" autocomplete="username" autocapitalize="none" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
<p>A demo: the names are ada, grace and linus, the password is <code>fastify</code>.</p>
</section>
<section id="users" hidden>
<form id="add">
<label>What is to be done? <input id="text" name="text" maxlength="200" autocomplete="off" required></label>
<button>Add</button>
</form>
<ul id="list" aria-labelledby="title"></ul>
<button id="logout" class="plain">Log out</button>
</section>
</main>
<script>${script}</script>
</body>
</html>
`

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** Nothing but this page's own script and style runs in it, and nobody frames it. */
export const contentSecurityPolicy = [
  "default-src 'none'", "base-uri 'none'", "connect-src 'self'", "form-action 'none'", "frame-ancestors 'none'", 'img-src data:',
  `script-src ${hashOf(script)}`, `style-src ${hashOf(style)}`
].join('; ')

import { createHash } from 'node:crypto'
import { html, loginForm, page as render, style } from '../pages.mjs'

// The message keeps its place and its height, so that the list stays where it is.
const extraStyle = `
  .message, .message:empty { border: 0; padding: 0; margin: 0 0 .75rem; min-height: 1.5rem;
    white-space: nowrap; overflow: hidden; text-overflow: ellipsis }
`

// The script never sees the session. The cookie is HttpOnly, and the browser sends it with every fetch to this origin.
const script = `
  const byId = id => document.getElementById(id)
  const say = text => { byId('message').textContent = text }

  let user // whom the page shows as logged in

  async function api (method, path, body) {
    const request = body === undefined
      ? { method }
      : { method, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const response = await fetch('/api/' + path, request).catch(() => { throw new Error('The server cannot be reached.') })
    const answer = response.status === 204 ? undefined : await response.json()
    if (!response.ok) throw Object.assign(new Error(answer.message), { status: response.status })
    return answer
  }

  async function show (someone) {
    const todos = someone === undefined ? [] : await api('GET', 'todos')
    user = someone
    byId('title').textContent = user === undefined ? 'Log in' : 'To-do list of ' + user.name
    byId('strangers').hidden = user !== undefined
    byId('users').hidden = user === undefined
    byId('list').replaceChildren(...todos.map(item))
  }

  // A session may end at any time: it expires, or its user logs out in another tab. Then the page shows the login again.
  async function explain (error) {
    const hasEnded = error.status === 401 && user !== undefined
    if (error.status === 401) await show(undefined)
    say(hasEnded ? 'Your session has ended. Log in again.' : error.message)
  }

  function item ({ id, text }) {
    const entry = document.createElement('li')
    entry.className = 'row'
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

  const attempt = action => async event => {
    event.preventDefault()
    await action(event.target).catch(explain)
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

  // The page also asks when the Back button brings it back from memory: the session may have ended in the meantime.
  addEventListener('pageshow', async () => {
    try {
      await show(await api('GET', 'me'))
    } catch (error) {
      if (error.status !== 401 || user !== undefined) await explain(error)
      else await show(undefined)
    }
  })
`

/** The page is the same for everybody; what it shows comes from the API. */
export const page = render({
  title: 'To-do list',
  extraStyle,
  script,
  main: html`
<noscript><p>This page needs JavaScript.</p></noscript>
<section id="strangers" hidden>${loginForm()}</section>
<section id="users" hidden>
<form id="add">
<label>New task <input id="text" name="text" maxlength="200" autocomplete="off" required></label>
<button>Add</button>
</form>
<ul id="list" aria-labelledby="title"></ul>
<button id="logout" class="plain">Log out</button>
</section>`
})

const hashOf = (text: string): string => `'sha256-${createHash('sha256').update(text).digest('base64')}'`

/** The browser runs this page's own script and style and no others, and no site can frame the page. */
export const contentSecurityPolicy = [
  "default-src 'none'", "base-uri 'none'", "connect-src 'self'", "form-action 'none'", "frame-ancestors 'none'", 'img-src data:',
  `script-src ${hashOf(script)}`, `style-src ${hashOf(style + extraStyle)}`
].join('; ')

import { html, loginForm } from '../pages.mjs'
import type { Page } from '../pages.mjs'

export const loginPage = (message?: string): Page => ({ title: 'Log in to chat', message, main: loginForm() })

const script = `
  const byId = id => document.getElementById(id)
  const show = (text, className = '') => {
    const entry = document.createElement('li')
    entry.textContent = text
    entry.className = className
    byId('messages').append(entry)
    entry.scrollIntoView({ block: 'nearest' })
  }

  const socket = new WebSocket(location.origin.replace('http', 'ws') + '/chat')
  socket.onmessage = ({ data }) => {
    const { name, text } = JSON.parse(data)
    if (name === undefined) show(text, 'quiet')
    else show(name + ': ' + text)
  }
  socket.onclose = ({ code }) => {
    if (code === 4401) location.reload() // the session has ended: the server answers with the login page
    else show('The connection was lost. Reload this page to join again.', 'quiet')
  }

  // After the logout, the answer of the form is the next page.
  byId('logout').onsubmit = () => { socket.onclose = null }

  byId('say').onsubmit = event => {
    event.preventDefault()
    if (socket.readyState !== WebSocket.OPEN) return
    socket.send(byId('text').value)
    event.target.reset()
  }
`

export const chatPage: Page = {
  title: 'Chat',
  extraStyle: `
  #messages { min-height: 12rem }
`,
  script,
  main: html`
<ul id="messages" role="log" aria-label="Messages"></ul>
<form id="say">
<label>Message <input id="text" maxlength="1000" autocomplete="off" required></label>
<button>Send</button>
</form>
<form id="logout" method="post" action="/logout"><button class="plain">Log out</button></form>`
}

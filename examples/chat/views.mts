function page (title: string, body: string): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>${title}</title>
<style>
  :root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
  body { max-width: 34rem; margin: 0 auto; padding: 1.5rem 1rem; overflow-wrap: anywhere }
  label { display: block; margin-bottom: .75rem }
  input, button { font: inherit; box-sizing: border-box; padding: .5rem }
  input { display: block; width: 100% }
  ul { list-style: none; padding: 0; min-height: 10rem }
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

export const loginPage = (message = ''): string => page('Log in to chat', `
<p role="status">${message}</p>
<form method="post" action="/login">
<label>Name <input name="name" autocomplete="username" autocapitalize="none" required></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Log in</button>
</form>
<p>A demo: the names are ada, grace and linus, the password is <code>fastify</code>.</p>`)

export const chatPage = page('Chat', `
<ul id="messages" role="log" aria-label="Messages"></ul>
<form id="say">
<label>Message <input id="text" maxlength="1000" autocomplete="off" required></label>
<button>Send</button>
</form>
<form method="post" action="/logout"><p><button>Log out</button></p></form>
<script>
  const byId = id => document.getElementById(id)
  const show = text => {
    const entry = document.createElement('li')
    entry.textContent = text
    byId('messages').append(entry)
    entry.scrollIntoView({ block: 'nearest' })
  }

  const socket = new WebSocket(location.origin.replace('http', 'ws') + '/chat')
  socket.onmessage = ({ data }) => {
    const { name, text } = JSON.parse(data)
    show(name + ': ' + text)
  }
  socket.onclose = ({ code }) => {
    if (code === 4401) location.reload() // the session has ended: the login comes
    else show('The connection is lost. Reload this page to come back.')
  }

  byId('say').onsubmit = event => {
    event.preventDefault()
    if (socket.readyState !== WebSocket.OPEN) return
    socket.send(byId('text').value)
    event.target.reset()
  }
</script>`)

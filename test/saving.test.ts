import type { AddressInfo } from 'node:net'
import { PassThrough, Readable } from 'node:stream'
import t from 'tap'
import { errors } from '../lib/index.js'
import { Jar, logTo, makeApp, secret, setCookiesOf } from './fixtures/app.js'

t.test('a session that is too large throws a coded error with its size, the limit and the largest keys', async t => {
  const app = await makeApp({}, {
    '/set': request => { request.session.note = 'kept' },
    '/grow': request => {
      request.session.any = 'x'.repeat(5000)
      request.session.user = { id: 'secret-id', name: 'N' }
    },
    '/get': request => request.session.data()
  })
  const jar = new Jar(app)
  await jar.get('/set')
  const answer = await jar.get('/grow')
  t.equal(answer.status, 500)
  t.match(answer.json, { code: 'FST_SESSION_TOO_LARGE', message: /needs \d{4} bytes of cookies, and the limit is 4096 \(maxCookies: 1\).*any 5002, user 29, note 6/ })
  t.notMatch(answer.body, 'secret-id')
  t.same(answer.setCookies, [], 'no half-written cookie')
  t.same((await jar.get('/get')).json, { note: 'kept' }, 'the previous cookie stays')
})

t.test('a value that JSON would change throws a coded error with its path', async t => {
  class Money {}
  const cycle: Record<string, unknown> = {}
  cycle.self = cycle
  const values: Array<[value: unknown, path: string]> = [
    [{ items: [1, 2, { when: new Date() }] }, 'any.items[2].when'],
    [new Map(), 'any'],
    [{ 'odd key': () => {} }, 'any["odd key"]'],
    [1n, 'any'],
    [NaN, 'any'],
    [new Money(), 'any'],
    [cycle, 'any.self'],
    [[undefined], 'any[0]']
  ]
  for (const [value, path] of values) {
    const app = await makeApp({}, { '/': request => { request.session.any = value } })
    const { status, json, setCookies } = await new Jar(app).get('/')
    t.equal(status, 500)
    t.match(json, { code: 'FST_SESSION_NOT_SERIALIZABLE', message: `"${path}"` })
    t.same(setCookies, [])
  }
})

t.test('undefined in an object is dropped, like a key that is not set', async t => {
  const app = await makeApp({}, { '/': request => { request.session.any = { a: undefined, b: 1 } }, '/get': request => request.session.data() })
  const jar = new Jar(app)
  await jar.get('/')
  t.same((await jar.get('/get')).json, { any: { b: 1 } })
})

t.test('the app\'s error handler responds when saving fails, and can repair the session', async t => {
  const seen: unknown[] = []
  const app = await makeApp({}, {
    '/big': request => { request.session.any = 'x'.repeat(5000) },
    '/mend': request => { request.session.any = 'x'.repeat(5000) },
    '/get': request => request.session.data()
  }, {}, app => {
    app.setErrorHandler((error, request, reply) => {
      seen.push(error instanceof errors.FST_SESSION_TOO_LARGE)
      if (request.url === '/mend') {
        request.session.clear()
        request.session.note = 'mended'
      }
      reply.code(413).send({ handled: true })
    })
  })
  const jar = new Jar(app)
  const failed = await jar.get('/big')
  t.match(failed, { status: 413, json: { handled: true }, setCookies: [] })
  const mended = await jar.get('/mend')
  t.match(mended, { status: 413, json: { handled: true } })
  t.same((await jar.get('/get')).json, { note: 'mended' })
  t.same(seen, [true, true])
})

t.test('streams, web streams, buffers, HEAD, OPTIONS and 404 carry the cookie', async t => {
  const app = await makeApp({}, {
    '/stream': request => { request.session.note = 's'; return Readable.from(['a', 'b']) },
    '/web': request => { request.session.note = 'w'; return new Response('web') },
    '/buffer': request => { request.session.note = 'b'; return Buffer.from('b') },
    '/head': request => { request.session.note = 'h' }
  })
  app.options('/options', async request => { request.session.note = 'o'; return {} })
  app.setNotFoundHandler((request, reply) => { request.session.note = request.url; reply.code(404).send({}) })
  for (const [method, url] of [['GET', '/stream'], ['GET', '/web'], ['GET', '/buffer'], ['HEAD', '/head'], ['OPTIONS', '/options'], ['GET', '/nowhere']] as const) {
    t.match(setCookiesOf(await app.inject({ method, url })), [/^session=Fe26/], `${method} ${url}`)
  }
})

t.test('a stream that fails before it starts still saves once', async t => {
  const app = await makeApp({}, {
    '/': request => {
      request.session.views = 1
      return new Readable({ read () { this.destroy(new Error('of the stream')) } })
    }
  })
  const response = await app.inject('/')
  t.equal(response.statusCode, 500)
  t.equal(setCookiesOf(response).length, 1)
})

t.test('commit() saves immediately, for a reply that is hijacked', async t => {
  const app = await makeApp({}, {
    '/': async (request, reply) => {
      request.session.views = (request.session.views ?? 0) + 1
      const cookies = await app.session.commit(request, reply)
      t.same(await app.session.commit(request, reply), [], 'once')
      reply.hijack()
      reply.raw.writeHead(200, { 'set-cookie': cookies })
      reply.raw.end(String(request.session.views))
      return reply
    }
  })
  const jar = new Jar(app)
  t.equal((await jar.get('/')).body, '1')
  t.equal((await jar.get('/')).body, '2')
})

t.test('onSend saves again after a commit only if there is a further change', async t => {
  const returned: string[][] = []
  const app = await makeApp({}, {
    '/once': async (request, reply) => {
      request.session.views = 1
      returned.push(await app.session.commit(request, reply))
    },
    '/more': async (request, reply) => {
      request.session.views = 2
      returned.push(await app.session.commit(request, reply))
      request.session.views = 3
    },
    '/end': async (request, reply) => {
      request.session.views = 4
      await app.session.commit(request, reply)
      request.session.destroy()
      returned.push(await app.session.commit(request, reply))
      t.equal(request.session.deleted, true)
    },
    '/unread': async (request, reply) => { returned.push(await app.session.commit(request, reply)) }
  })
  const jar = new Jar(app)
  t.same((await jar.get('/once')).setCookies, returned[0])
  const { setCookies } = await jar.get('/more')
  t.equal(setCookies.length, 1)
  t.not(setCookies[0], returned[1]![0])
  t.match(await app.session.unseal(jar.cookies.get('session')!), { data: { views: 3 } })
  t.match((await jar.get('/end')).setCookies, [/Max-Age=0/])
  await jar.get('/unread')
  t.same(returned[3], [])
})

t.test('data that is cleared after a commit does not come back', async t => {
  const app = await makeApp({}, {
    '/new': async (request, reply) => {
      request.session.user = { id: 'u1', name: 'N' }
      await app.session.commit(request, reply)
      request.session.clear()
    },
    '/again': async (request, reply) => {
      request.session.regenerate()
      request.session.views = 1
      await app.session.commit(request, reply)
      request.session.clear()
    }
  })
  for (const url of ['/new', '/again']) {
    const jar = new Jar(app)
    t.match((await jar.get(url)).setCookies, [/^session=; Max-Age=0/], url)
    t.equal(jar.cookies.size, 0)
  }
})

t.test('an ended session stays ended even if data set after it cannot be saved', async t => {
  for (const options of [{}, { iron: { integrity: { iterations: 2 } } }]) {
    const app = await makeApp(options, {
      '/in': request => { request.session.views = 1 },
      '/date': request => { request.session.destroy(); request.session.any = new Date() },
      '/large': request => { request.session.destroy(); request.session.note = 'x'.repeat(5000) },
      '/login': request => { request.session.regenerate(); request.session.any = new Date() }
    })
    const jar = new Jar(app)
    for (const url of ['/date', '/large']) {
      await jar.get('/in')
      t.match(await jar.get(url), { status: 500, setCookies: [/^session=; Max-Age=0/], headers: { vary: 'Cookie' } }, url)
      t.equal(jar.cookies.size, 0)
      t.match(await jar.get(url), { status: 500, setCookies: [] }, 'there is no cookie to clear')
    }
    await jar.get('/in')
    t.match(await jar.get('/login'), { status: 500, setCookies: [], headers: { vary: 'Cookie' } }, 'a failed login leaves the previous session')
  }
})

t.test('checking deeply nested data takes time in proportion to its size', async t => {
  const app = await makeApp({}, {
    '/': request => {
      let deep: unknown[] = []
      for (let depth = 0; depth < 1000; depth++) deep = [deep]
      request.session.any = deep
    }
  })
  t.equal((await new Jar(app).get('/')).status, 200)
})

t.test('a failed commit is the handler\'s error, and is not repeated', async t => {
  const app = await makeApp({}, {
    '/': async (request, reply) => {
      request.session.any = new Date()
      await app.session.commit(request, reply)
    }
  }, {}, app => {
    app.setErrorHandler((error: { code?: string }, _request, reply) => { reply.code(418).send({ code: error.code }) })
  })
  t.match(await new Jar(app).get('/'), { status: 418, json: { code: 'FST_SESSION_NOT_SERIALIZABLE' }, setCookies: [] })
})

t.test('a change that can no longer be saved is logged at warn level and never throws', async t => {
  const lines: Array<Record<string, unknown>> = []
  const app = await makeApp({}, {
    '/hijack': (request, reply) => {
      reply.hijack()
      request.session.views = 1
      reply.raw.end('x')
      return reply
    },
    '/late': (request, reply) => {
      request.session.views = 1
      reply.send('x')
      request.session.views = 2
      return reply
    },
    '/raw': (request, reply) => {
      request.session.views = 3
      reply.raw.writeHead(200)
      reply.raw.write('x')
      return new PassThrough().end('y')
    },
    '/fine': (request, reply) => {
      request.session.views = 4
      reply.hijack()
      return app.session.commit(request, reply).then(cookies => {
        reply.raw.writeHead(200, { 'set-cookie': cookies }).end()
        return reply
      })
    },
    '/read': (request, reply) => {
      reply.hijack()
      reply.raw.end(String(request.session.views))
      return reply
    }
  }, logTo(lines, 'warn'))
  await app.listen({ port: 0, host: '127.0.0.1' })
  t.teardown(async () => await app.close())
  const { port } = app.server.address() as AddressInfo
  const warnings = async (url: string): Promise<number> => {
    lines.length = 0
    await (await fetch(`http://127.0.0.1:${port}${url}`)).text()
    return lines.filter(({ level, msg }) => level === 40 && /session changed after/.test(msg as string)).length
  }
  t.equal(await warnings('/hijack'), 1)
  t.equal(await warnings('/late'), 1)
  t.equal(await warnings('/raw'), 1)
  t.equal(await warnings('/fine'), 0)
  t.equal(await warnings('/read'), 0)
  t.notMatch(JSON.stringify(lines), secret)
})

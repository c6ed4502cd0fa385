import { type } from 'arktype'
import t from 'tap'
import * as Compile from 'typebox/compile'
import { Type } from 'typebox'
import * as v from 'valibot'
import { z } from 'zod'
import { createSealer } from '../lib/index.js'
import type { StandardSchema } from '../lib/index.js'
import { count, Jar, makeApp, read, secret } from './fixtures/app.js'
import { TestStore } from './fixtures/stores.js'

const routes: Parameters<typeof makeApp>[1] = {
  '/count': count, '/read': read, '/data': request => JSON.stringify(request.session), '/bad': request => { request.session.any = 5 }
}

/** TypeBox does not implement Standard Schema, so its users write this. */
const typeboxValidator = Compile.Compile(Type.Object({ views: Type.Integer({ minimum: 0 }) }))
const typebox: StandardSchema = {
  '~standard': {
    version: 1,
    vendor: 'typebox',
    validate: value => typeboxValidator.Check(value) ? { value } : { issues: typeboxValidator.Errors(value) }
  }
}

const schemas: Record<string, StandardSchema> = {
  zod: z.object({ views: z.int().nonnegative() }),
  valibot: v.object({ views: v.pipe(v.number(), v.integer(), v.minValue(0)) }),
  arktype: type({ views: 'number.integer >= 0' }),
  typebox
}

for (const [name, schema] of Object.entries(schemas)) {
  t.test(`${name}: valid data is loaded, and invalid data starts an empty session with reason invalid and clears the cookie`, async t => {
    const before = await makeApp({}, routes)
    const app = await makeApp({ schema }, routes)
    const good = { cookie: await before.session.cookie({ views: 2 }) }
    const bad = { cookie: await before.session.cookie({ views: -1 }) }
    for (let time = 0; time < 3; time++) {
      const read = await new Jar(app).get('/read', good)
      t.same([read.json, read.setCookies], [{ views: 2, reason: null }, []])
      const refused = await new Jar(app).get('/read', bad)
      t.same(refused.json, { views: null, reason: 'invalid' })
      t.match(refused.setCookies, [/^session=; Max-Age=0/])
    }
    t.same((await new Jar(app).get('/count', bad)).json, { views: 1 })
    const sealer = createSealer({ secret, schema })
    t.same(await sealer.unseal(bad.cookie.slice('session='.length)), { ok: false, reason: 'invalid' })
    t.match(await sealer.unseal(good.cookie.slice('session='.length)), { ok: true, data: { views: 2 } })
    t.match(await app.session.unseal(bad.cookie.slice('session='.length)), { reason: 'invalid' })
  })

  t.test(`${name}: data in a store is validated too`, async t => {
    const store = new TestStore()
    const app = await makeApp({ schema, store }, routes)
    const jar = new Jar(app)
    await jar.get('/count')
    t.same((await jar.get('/count')).json, { views: 2 })
    for (const entry of store.entries.values()) entry.value = '{"views":"two"}'
    t.same((await jar.get('/read')).json, { views: null, reason: 'invalid' })
  })
}

t.test('the output of the schema is the data, so an older shape is upgraded at its first read and saved', async t => {
  const before = await makeApp({}, { '/old': request => { request.session.note = '7' } })
  const schema = z.object({ note: z.string().optional(), views: z.number().optional() })
    .transform(({ note, views }) => ({ views: views ?? Number(note) }))
  const app = await makeApp({ schema }, routes)
  const old = new Jar(before)
  await old.get('/old')
  const jar = new Jar(app)
  jar.cookies.set('session', old.cookies.get('session')!)
  const upgraded = await jar.get('/data')
  t.equal(upgraded.body, '{"views":7}')
  t.equal(upgraded.setCookies.length, 1)
  const again = await jar.get('/data')
  t.same([again.body, again.setCookies], ['{"views":7}', []])
})

t.test('a read saves nothing, whatever the order of keys that the schema returns', async t => {
  const schema = z.object({ note: z.string(), views: z.number() })
  const app = await makeApp({ schema }, routes)
  const { json, setCookies } = await new Jar(app).get('/read', { cookie: await app.session.cookie({ views: 1, note: 'n' }) })
  t.same([json.views, setCookies], [1, []])
})

t.test('the output of a schema must be JSON, and the error names a value that is not', async t => {
  for (const [given, path] of [[new Date(), 'views'], [new Map(), 'views'], [() => {}, 'views']] as const) {
    const schema: StandardSchema = { '~standard': { version: 1, vendor: 'own', validate: () => ({ value: { views: given } }) } }
    const app = await makeApp({ schema }, routes)
    const { status, json, setCookies } = await new Jar(app).get('/read', { cookie: await app.session.cookie({ views: 1 }) })
    t.same([status, json.code, setCookies], [500, 'FST_SESSION_NOT_SERIALIZABLE', []])
    t.match(json.message, `"${path}"`)
  }
})

t.test('defaults of a schema are not shared between sessions', async t => {
  const shared = { list: [] as number[] }
  const schema: StandardSchema = { '~standard': { version: 1, vendor: 'own', validate: value => ({ value: { ...value as object, any: shared } }) } }
  const app = await makeApp({ schema }, { '/push': request => { (request.session.any as typeof shared).list.push(1); return request.session.any } })
  for (let time = 0; time < 2; time++) {
    t.same((await new Jar(app).get('/push', { cookie: await app.session.cookie({ views: 1 }) })).json, { list: [1] })
  }
})

t.test('the output of a schema is invalid if it is not a dictionary or has a key that would hide a member', async t => {
  for (const value of [null, [], 'text', { destroy: 1 }]) {
    const schema: StandardSchema = { '~standard': { version: 1, vendor: 'own', validate: () => ({ value }) } }
    const app = await makeApp({ schema }, routes)
    t.equal((await new Jar(app).get('/read', { cookie: await app.session.cookie({ views: 1 }) })).json.reason, 'invalid')
  }
})

t.test('an asynchronous schema is rejected at registration if that is detected, otherwise when it returns a promise', async t => {
  const asynchronous = z.object({ views: z.number() }).refine(async () => true)
  const late: StandardSchema = {
    '~standard': { version: 1, vendor: 'own', validate: value => Object.keys(value as object).length === 0 ? { value } : Promise.reject(new Error('late')) }
  }
  const always: StandardSchema = { '~standard': { version: 1, vendor: 'own', validate: async value => ({ value }) } }
  await t.rejects(async () => { await makeApp({ schema: always }) }, { code: 'FST_SESSION_INVALID_OPTION', message: /"schema" is invalid: it returns a promise/ })
  for (const schema of [late, asynchronous]) {
    const app = await makeApp({ schema }, routes)
    const { status, json, setCookies } = await new Jar(app).get('/read', { cookie: await app.session.cookie({ views: 1 }) })
    t.same([status, json.code, setCookies], [500, 'FST_SESSION_INVALID_OPTION', []])
  }
})

t.test('an exception in a schema is the app\'s own error, and the client keeps its cookie', async t => {
  const schema: StandardSchema = { '~standard': { version: 1, vendor: 'own', validate () { throw new Error('of the schema') } } }
  for (const options of [{}, { store: new TestStore() }]) {
    const app = await makeApp({ schema, ...options }, routes)
    const { status, json, setCookies } = await new Jar(app).get('/read', { cookie: await app.session.cookie({ views: 1 }) })
    t.same([status, json.message, setCookies], [500, 'of the schema', []])
  }
  // eslint-disable-next-line no-throw-literal
  const odd: StandardSchema = { '~standard': { version: 1, vendor: 'own', validate () { throw 'a text' } } }
  const app = await makeApp({ schema: odd, store: new TestStore() }, routes)
  const { json } = await new Jar(app).get('/read', { cookie: await app.session.cookie({ views: 1 }) })
  t.equal(json.message, 'a text')
})

t.test('what a schema throws is an error response even if it cannot be converted to a string', async t => {
  const schema: StandardSchema = { '~standard': { version: 1, vendor: 'own', validate () { throw Object.create(null) } } }
  const app = await makeApp({ schema, store: new TestStore() }, routes)
  const { status, setCookies } = await new Jar(app).get('/read', { cookie: await app.session.cookie({ views: 1 }) })
  t.same([status, setCookies], [500, []])
})

t.test('a value that is not a Standard Schema is rejected with the name of the option', async t => {
  for (const schema of [null, {}, 'zod', () => true, { '~standard': { version: 1 } }]) {
    await t.rejects(async () => { await makeApp({ schema: schema as never }) }, { code: 'FST_SESSION_INVALID_OPTION', message: /"schema" must be a Standard Schema/ })
  }
})

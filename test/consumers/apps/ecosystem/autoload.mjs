import assert from 'node:assert/strict'
import { join } from 'node:path'
import autoload from '@fastify/autoload'
import Fastify from 'fastify'

const app = Fastify()
app.register(autoload, { dir: join(import.meta.dirname, 'plugins') })
app.register(autoload, { dir: join(import.meta.dirname, 'routes') })
await app.ready()
const cookie = await app.session.cookie({ views: 41 })
assert.deepEqual((await app.inject({ url: '/', headers: { cookie } })).json(), { views: 42 })
console.log('it works')

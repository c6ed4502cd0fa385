import Fastify from 'fastify'
import sessionPlugin, { createSealer, getSession, sessionPlugin as named } from 'fastify-sealed-session'
import { check, checkIron } from './check.cjs'

await check(Fastify, sessionPlugin, getSession)
await check(Fastify, named, getSession)
await checkIron(createSealer)
console.log('it works')

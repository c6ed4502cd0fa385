import { test } from 'node:test'
import Fastify from 'fastify'
import sessionPlugin, { getSession } from 'fastify-sealed-session'
import { check } from './check.cjs'

test('a session', async () => { await check(Fastify, sessionPlugin, getSession) })

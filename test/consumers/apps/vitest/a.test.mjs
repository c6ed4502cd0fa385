import Fastify from 'fastify'
import sessionPlugin, { getSession } from 'fastify-sealed-session'
import { test } from 'vitest'
import { check } from '../check.cjs'

test('a session', async () => { await check(Fastify, sessionPlugin, getSession) })

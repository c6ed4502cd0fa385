import { test } from '@jest/globals'
import Fastify from 'fastify'
import sessionPlugin, { getSession } from 'fastify-sealed-session'
import { check } from '../check.cjs'

test('a session, in an ES module', async () => { await check(Fastify, sessionPlugin, getSession) })

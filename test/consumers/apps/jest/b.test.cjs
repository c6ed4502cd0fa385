const { test } = require('@jest/globals')
const Fastify = require('fastify')
const sessionPlugin = require('fastify-sealed-session')
const { check } = require('../check.cjs')

test('a session, in a second file', async () => { await check(Fastify, sessionPlugin, sessionPlugin.getSession) })

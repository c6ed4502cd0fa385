'use strict'

const Fastify = require('fastify')
const sessionPlugin = require('fastify-sealed-session')
const { check, checkIron } = require('./check.cjs')

async function main () {
  await check(Fastify, sessionPlugin, sessionPlugin.getSession)
  await check(Fastify, sessionPlugin.default, sessionPlugin.getSession)
  await check(Fastify, sessionPlugin.sessionPlugin, sessionPlugin.getSession)
  await checkIron(sessionPlugin.createSealer)
  console.log('it works')
}
main()

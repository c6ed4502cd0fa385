import { channel, subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Session } from '../types/index.js'
import { errors } from './errors.js'

type AnyRequest = FastifyRequest<any, any, any, any, any, any, any, any>

/**
 * What all copies of this package in a process share: two versions may be installed side by side, and test runners load a
 * package anew for each file. A change of this shape needs a new key.
 */
interface Shared {
  /** Names of the sessions of an app, by its server, which all its scopes share */
  readonly registered: WeakMap<object, Set<string>>
  /** What guards the apps of a realm, by the realm's `Object.prototype`: the copy that was loaded there last */
  readonly guards: WeakMap<object, (app: FastifyInstance) => void>
}

const initialization = channel('fastify.initialization')
const { registered, guards } = shared()

/**
 * Kept on the channel rather than on `globalThis`: Jest and vitest's vmThreads give each test file a global object of its own,
 * but one process has one channel, and one subscription keeps it.
 */
function shared (): Shared {
  const key = Symbol.for('fastify-sealed-session.shared.1')
  const holder = initialization as unknown as Record<symbol, Shared>
  holder[key] ??= subscribed({ registered: new WeakMap(), guards: new WeakMap() })
  return holder[key]
}

function subscribed (shared: Shared): Shared {
  subscribe('fastify.initialization', message => {
    const { fastify: app } = message as { fastify: FastifyInstance }
    // Not the apps of test files that have not imported this package.
    shared.guards.get(Object.getPrototypeOf(app) as object)?.(app)
  })
  return shared
}

/** The request's property that holds its session's state. Shared by every copy of this package. */
export function slotFor (name: string): symbol {
  return Symbol.for(`fastify-sealed-session.${name}`)
}

function markFor (name: string): symbol {
  return Symbol.for(`fastify-sealed-session.${name}.registered`)
}

/** Marks the requests of a scope as having a session, and remembers that its app has one. */
export function markRegistered (app: FastifyInstance, name: string): void {
  // A function stands on the prototype, where the requests of scopes that were made earlier inherit it too.
  app.decorateRequest(markFor(name), () => {})
  const names = registered.get(app.server) ?? new Set()
  registered.set(app.server, names.add(name))
}

const hints = {
  missing: 'Add `await app.register(sessionPlugin, { secret: process.env.SESSION_SECRET })`: it is not registered in this app',
  scope: 'It is registered in another scope: register it on the root instance, or in the scope that has this route',
  disabled: 'It is switched off for this route by `config: { session: false }`',
  early: 'It is not loaded yet: with these options that happens in the plugin\'s onRequest hook. ' +
    'Register the plugin before the hook that reads the session'
}

/** The guarded error: what is wrong, and what to do. */
export function notRegistered (name: string, hint: keyof typeof hints): Error {
  return new errors.FST_SESSION_NOT_REGISTERED(name, hints[hint])
}

function explain (request: AnyRequest, name: string): Error {
  return notRegistered(name, registered.get(request.server.server)?.has(name) ? 'scope' : 'missing')
}

export function getSession (request: AnyRequest): Session
export function getSession<Name extends keyof FastifyRequest> (request: AnyRequest, name: Name): FastifyRequest[Name]
export function getSession (request: AnyRequest, name: string): Session
export function getSession (request: AnyRequest, name = 'session'): unknown {
  getSlot(request, name)
  return request[name as 'session']
}

/** What a request knows of its session. @throws FST_SESSION_NOT_REGISTERED where it has no place for one */
export function getSlot (request: AnyRequest, name: string): unknown {
  if (!(markFor(name) in request)) throw explain(request, name)
  return (request as unknown as Record<symbol, unknown>)[slotFor(name)]
}

const guarded = Symbol('fastify-sealed-session.guarded')

/**
 * Where this package was imported and then forgotten, `request.session` says so instead of being undefined.
 * An app that has a `session` of another make, or decorates its own, is left alone.
 */
guards.set(Object.prototype, app => {
  // Fastify drops request classes that nobody decorated before its onReady hooks run.
  app.decorateRequest(guarded, () => {})
  app.addHook('onReady', function guardSession (done) {
    if (!app.hasRequestDecorator('session')) {
      app.decorateRequest('session', {
        getter (this: FastifyRequest): Session {
          throw explain(this, 'session')
        },
        // A child scope's own plugin assigns its session over this one.
        setter (this: FastifyRequest, value: unknown) {
          Object.defineProperty(this, 'session', { value, writable: true, enumerable: true, configurable: true })
        }
      } as never)
    }
    done()
  })
})

import { channel, subscribe } from 'node:diagnostics_channel'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Session } from '../types/index.js'
import { errors } from './errors.js'

type AnyRequest = FastifyRequest<any, any, any, any, any, any, any, any>

/**
 * What all copies of this package in a process share: two versions may be installed side by side, and test runners load a
 * package anew for each file. If this shape changes, the key in `shared` must change too.
 */
interface Shared {
  /** The session names of each app, keyed by its server, which all scopes of the app share */
  readonly registered: WeakMap<object, Set<string>>
  /** The guard of each realm, keyed by the realm's `Object.prototype`; the copy loaded last wins */
  readonly guards: WeakMap<object, (app: FastifyInstance) => void>
}

const initialization = channel('fastify.initialization')
const { registered, guards } = shared()

/**
 * Kept on the channel rather than on `globalThis`: Jest and vitest's vmThreads give each test file its own global object, but the
 * channel exists once per process, and the subscription keeps it alive.
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
    // The apps of test files that have not imported this package have no guard.
    shared.guards.get(Object.getPrototypeOf(app) as object)?.(app)
  })
  return shared
}

/** The property of a request that holds the state of its session. Every copy of this package uses the same symbol. */
export function slotFor (name: string): symbol {
  return Symbol.for(`fastify-sealed-session.${name}`)
}

function markFor (name: string): symbol {
  return Symbol.for(`fastify-sealed-session.${name}.registered`)
}

/** Marks the requests of a scope as having a session, and records that the app has one. */
export function markRegistered (app: FastifyInstance, name: string): void {
  // Fastify puts a function on the prototype, where the requests of scopes created earlier inherit it too.
  app.decorateRequest(markFor(name), () => {})
  const names = registered.get(app.server) ?? new Set()
  registered.set(app.server, names.add(name))
}

const hints = {
  missing: 'Add `await app.register(sessionPlugin, { secret: process.env.SESSION_SECRET })`: it is not registered in this app',
  scope: 'It is registered in another scope: register it on the root instance, or in the scope of this route',
  disabled: 'It is switched off for this route by `config: { session: false }`',
  early: 'The session is not loaded yet: with these options, the plugin\'s onRequest hook loads it. ' +
    'Register the plugin before the hook that reads the session'
}

/** The error for reading a session that is not there, with a hint that fits. */
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

/** What the request's slot holds. @throws FST_SESSION_NOT_REGISTERED if the plugin is not registered for the request */
export function getSlot (request: AnyRequest, name: string): unknown {
  if (!(markFor(name) in request)) throw explain(request, name)
  return (request as unknown as Record<symbol, unknown>)[slotFor(name)]
}

const guarded = Symbol('fastify-sealed-session.guarded')

/**
 * Where this package was imported but not registered, `request.session` throws instead of being undefined.
 * An app whose `session` comes from another plugin, or that decorates its own, is left alone.
 */
guards.set(Object.prototype, app => {
  // Before the onReady hooks run, Fastify drops request classes that were not decorated.
  app.decorateRequest(guarded, () => {})
  app.addHook('onReady', function guardSession (done) {
    if (!app.hasRequestDecorator('session')) {
      app.decorateRequest('session', {
        getter (this: FastifyRequest): Session {
          throw explain(this, 'session')
        },
        // The session plugin of a child scope assigns its session over this getter.
        setter (this: FastifyRequest, value: unknown) {
          Object.defineProperty(this, 'session', { value, writable: true, enumerable: true, configurable: true })
        }
      } as never)
    }
    done()
  })
})

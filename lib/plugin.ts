import { Stream } from 'node:stream'
import fastifyCookie from '@fastify/cookie'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import fp from 'fastify-plugin'
import type { Session, SessionOptions } from '../types/index.js'
import { CookieJar } from './cookie/jar.js'
import { CHUNKS } from './cookie/parse.js'
import { errors } from './errors.js'
import { markRegistered, notRegistered, slotFor } from './guard.js'
import { createManager } from './manager.js'
import { refused } from './options/checks.js'
import { parseSessionOptions } from './options/options.js'
import { SessionSealer } from './seal/sealer.js'
import { Loader } from './session/load.js'
import { isWebsocket, Notes } from './session/notes.js'
import { Saver } from './session/save.js'
import { SessionState } from './session/state.js'
import { Endings } from './store/endings.js'
import { Keeper } from './store/keeper.js'

/** What a request's slot holds: nothing before our hook, then the reply, and the session once it is loaded. */
type Slot = SessionState | FastifyReply | null | undefined
type Slotted = FastifyRequest & Record<symbol, Slot>

async function plugin (app: FastifyInstance, options: SessionOptions): Promise<void> {
  const config = parseSessionOptions(options)
  const { sessionName, cookieName } = config
  assertFree(app, sessionName)
  assertCookieFree(app, cookieName)
  if (!app.hasPlugin('@fastify/cookie')) await app.register(fastifyCookie)

  const slot = slotFor(sessionName)
  const sealer = new SessionSealer(config)
  const endings = new Endings(config.store)
  const keeper = Keeper.for(config, { times: sealer.times, fit: data => sealer.fit(data) }, endings)
  const waits = !sealer.sync || keeper !== undefined
  const jar = new CookieJar(config, sealer.times, app.serializeCookie)
  const bound = config.deviceBound === undefined
    ? undefined
    // Few apps need it, and the others do not load it.
    : (await import('./bound/bound.js')).createDeviceBound(app, config, config.deviceBound, sealer, jar)
  const loader = new Loader(config, sealer, keeper, bound?.admit)
  const notes = new Notes(config, sealer.times, keeper, jar, endings)
  const saver = new Saver(config, sealer, keeper, jar, notes)

  app.decorate(sessionName, createManager(config, sealer, keeper, loader, saver, jar, endings) as never)
  app.decorate(markOfCookie(cookieName), true)
  for (const name of config.deviceBound === undefined ? [] : [config.deviceBound.cookieName, config.deviceBound.offerName]) {
    assertCookieFree(app, name)
    app.decorate(markOfCookie(name), true)
  }
  app.decorateRequest(slot, null)
  markRegistered(app, sessionName)
  app.decorateRequest(sessionName, { getter: read, setter: refuse } as never)
  app.addHook('onRequest', waits ? loadNow : remember)
  bound?.serve(app, loader, saver, stateOf)
  app.addHook('onSend', save)
  app.addHook('onClose', async () => { await endings.close() })

  /** The getter of `request.session`. */
  function read (this: Slotted): Session {
    const held = this[slot]
    const state = held instanceof SessionState ? held : first(this, held)
    state.isRead = true
    state.onLateUse?.()
    return state.session as unknown as Session
  }

  function refuse (): void {
    throw new errors.FST_SESSION_RESERVED_KEY(
      `request.${sessionName} cannot be assigned: set its keys, or start a new session with request.${sessionName}.regenerate()`)
  }

  /** Unseals at the first read, so that a request that never reads its session pays nothing. */
  function first (request: Slotted, reply: Exclude<Slot, SessionState>): SessionState {
    if (isSwitchedOff(request)) throw notRegistered(sessionName, 'disabled')
    if (waits) throw notRegistered(sessionName, 'early')
    return hold(loader.load(request) as SessionState, request, reply)
  }

  function remember (request: FastifyRequest, reply: FastifyReply, done: () => void): void {
    const held = (request as Slotted)[slot]
    if (held instanceof SessionState) watch(held, request, reply)
    else (request as Slotted)[slot] = reply
    done()
  }

  function loadNow (request: FastifyRequest, reply: FastifyReply, done: (error?: unknown) => void): void {
    if (isSwitchedOff(request)) {
      done()
      return
    }
    const loaded = (state: SessionState): void => {
      hold(state, request as Slotted, reply)
      done()
    }
    const state = loader.load(request)
    if (state instanceof Promise) state.then(loaded, done)
    else loaded(state)
  }

  function hold (state: SessionState, request: Slotted, reply: FastifyReply | null | undefined): SessionState {
    request[slot] = state
    if (reply) watch(state, request, reply)
    return state
  }

  function save (
    request: FastifyRequest, reply: FastifyReply, payload: unknown, done: (error?: unknown) => void
  ): Promise<undefined> | undefined {
    const state = (request as Slotted)[slot]
    let saving: Promise<undefined> | undefined
    try {
      if (state instanceof SessionState && state.isRead) {
        saving = saver.end(state, request, reply)
        if (bound !== undefined) saving = bound.finish(saving, state, request, reply)
      }
    } catch (error) {
      done(error)
      return
    }
    if (saving === undefined) {
      // Called synchronously, because otherwise a reply that a handler sent without returning it would be sent twice. Called outside
      // the try, because what later hooks throw is not a failure to save.
      done()
      return
    }
    // A stream may fail while its response waits for the save. Fastify learns of that later; without a listener it would crash now.
    if (payload instanceof Stream) payload.on('error', () => {})
    return saving
  }

  /** The session of a request that takes part, also if the app has not read it. */
  function stateOf (request: FastifyRequest): SessionState | undefined {
    const held = (request as Slotted)[slot]
    if (held instanceof SessionState) return held
    return isSwitchedOff(request) ? undefined : first(request as Slotted, held)
  }

  /** Logs changes made after the response has ended, which can no longer be saved. */
  function watch (state: SessionState, request: FastifyRequest, reply: FastifyReply): void {
    state.response = reply.raw
    const look = (): void => { notes.sayLost(state, request) }
    // A late use is looked at after the app has made its change.
    const late = (): void => { setImmediate(look) }
    const end = (): void => {
      state.onLateUse ??= late
      if (state.saving === undefined) look()
      else state.saving.then(look)
    }
    if (reply.raw.writableFinished) end()
    else reply.raw.on('finish', end)
    // The response of a websocket never finishes; it ends when its connection closes.
    if (request.raw.headers.upgrade !== undefined) reply.raw.on('close', () => { if (isWebsocket(request)) end() })
  }
}

/** Own fields of every request, which `hasRequestDecorator` does not report in every Fastify 5. */
const REQUEST_FIELDS = ['id', 'params', 'raw', 'query', 'log', 'body']

/** @throws FST_SESSION_INVALID_OPTION if the name is taken, for example by an earlier registration of this plugin */
function assertFree (app: FastifyInstance, name: string): void {
  if (name in app || app.hasRequestDecorator(name) || REQUEST_FIELDS.includes(name)) {
    throw refused('sessionName', `app.${name} or request.${name} already exists. Give a second session its own name`)
  }
}

const markOfCookie = (name: string): symbol => Symbol.for(`fastify-sealed-session.cookie.${name}`)

/** @throws FST_SESSION_INVALID_OPTION if another session's cookie, or one of its chunks, has the name */
function assertCookieFree (app: FastifyInstance, name: string): void {
  const names = [name, ...CHUNKS.map(chunk => name + chunk), ...CHUNKS.filter(chunk => name.endsWith(chunk)).map(chunk => name.slice(0, -chunk.length))]
  if (names.some(name => markOfCookie(name) in app)) {
    throw refused('cookieName', `another session uses the cookie name "${name}". Give this one its own name`)
  }
}

function isSwitchedOff (request: FastifyRequest): boolean {
  return request.routeOptions.config?.session === false
}

/** The plugin. It applies to the scope that registers it, and to the scopes below. */
export const sessionPlugin = fp(plugin, { fastify: '5.x', name: 'fastify-sealed-session' })

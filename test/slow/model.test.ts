import type { FastifyReply, FastifyRequest } from 'fastify'
import fc from 'fast-check'
import t from 'tap'
import { Jar, makeApp, olderSecret, secret } from '../fixtures/app.js'
import { runs } from '../fixtures/fuzz.js'

// Runs the plugin and a simple model of the session with random sequences of requests, failures and changes of the clock.
// The plugin must do what the model does.

/** Milliseconds */
const SECOND = 1000
const IDLE = 100 * SECOND
const ABSOLUTE = 1000 * SECOND
const SKEW = 60 * SECOND
const idleOf = (seconds: number | false | undefined): number => seconds ? seconds * SECOND : IDLE

type Json = string | number | boolean | null | Json[] | { [key: string]: Json }

/** What an app does with the session during one request. */
type Step =
  | { do: 'set', key: string, value: Json }
  | { do: 'push', key: string }
  | { do: 'delete', key: string }
  | { do: 'clear' | 'destroy' | 'touch' | 'commit' }
  | { do: 'regenerate', keep: string[] }
  | { do: 'persist', seconds: number | false }

/** What happens: a request with its steps and its end, or something between requests. */
type Event =
  | { event: 'request', steps: Step[], end: 'answer' | 'throw' | 'date' }
  | { event: 'wait', seconds: number }
  | { event: 'lose cookie' | 'tamper' | 'rotate secret' | 'ignore' }

const keys = fc.constantFrom('a', 'b', 'list', '__proto__', 'constructor', 'toString')
const values = fc.oneof(fc.string(), fc.integer(), fc.boolean(), fc.constant(null), fc.array(fc.integer(), { maxLength: 3 }), fc.dictionary(fc.string(), fc.integer(), { maxKeys: 2 })) as fc.Arbitrary<Json>
const steps = fc.oneof(
  { weight: 3, arbitrary: fc.record({ do: fc.constant('set' as const), key: keys, value: values }) },
  fc.record({ do: fc.constant('push' as const), key: fc.constant('list') }),
  fc.record({ do: fc.constant('delete' as const), key: keys }),
  { weight: 4, arbitrary: fc.record({ do: fc.constantFrom('clear' as const, 'destroy' as const, 'touch' as const, 'commit' as const, 'commit' as const) }) },
  fc.record({ do: fc.constant('regenerate' as const), keep: fc.uniqueArray(keys, { maxLength: 2 }) }),
  fc.record({ do: fc.constant('persist' as const), seconds: fc.constantFrom(30, 200, false as const) })
)
const events = fc.oneof(
  { weight: 6, arbitrary: fc.record({ event: fc.constant('request' as const), steps: fc.oneof(fc.constant<Step[]>([]), fc.array(steps, { maxLength: 6, size: 'max' })), end: fc.constantFrom('answer' as const, 'answer' as const, 'answer' as const, 'throw' as const, 'date' as const) }) },
  { weight: 3, arbitrary: fc.record({ event: fc.constant('wait' as const), seconds: fc.constantFrom(1, 49, 51, 60, 90, 161, 400, -30) }) },
  fc.record({ event: fc.constantFrom('lose cookie' as const, 'tamper' as const, 'rotate secret' as const, 'ignore' as const) })
)

/** The cookie of the browser, as known to the model. */
interface Held { data: Map<string, Json>, id: string, createdAt: number, idle: number | false | undefined, expiresAt: number, secret: number, tampered: boolean }

interface Seen { data: Record<string, Json>, id: string, reason: string | null, isNew: boolean }

const seen = ({ session }: FastifyRequest): Seen => {
  const { id, reason, isNew } = session.info
  return { data: session.data() as Record<string, Json>, id, reason, isNew }
}
const text = (data: Map<string, Json>): string => `{${[...data].map(([key, value]) => `${JSON.stringify(key)}:${JSON.stringify(value)}`).join()}}`

async function applyStep (request: FastifyRequest, reply: FastifyReply, step: Step): Promise<void> {
  const { session } = request
  const bag = session as unknown as Record<string, Json>
  switch (step.do) {
    case 'set': bag[step.key] = structuredClone(step.value); break
    case 'push': if (Array.isArray(bag[step.key])) (bag[step.key] as Json[]).push(1); break
    case 'delete': Reflect.deleteProperty(session, step.key); break
    case 'regenerate': session.regenerate(step.keep as never); break
    case 'persist': session.persist(step.seconds); break
    case 'commit': await request.server.session.commit(request, reply); break
    default: session[step.do]()
  }
}

/** The session in the model during one request. */
class Model {
  data = new Map<string, Json>()
  past = '{}'
  isNew = true
  reason: string | null = 'absent'
  asked = false
  ended = false
  renewed = false
  rejected = false
  idle: number | false | undefined
  createdAt: number
  due = false
  /** Whether the client has a cookie, and whether it is the one of this session */
  clientHas: boolean
  isHeld = false
  /** Whether it has the id that the request brought */
  sameId = false
  /** What the response does with the cookie so far */
  written: 'nothing' | 'clear' | Omit<Held, 'id'> = 'nothing'

  constructor (readonly now: number, held: Held | undefined, rolling: boolean, readonly newest: number) {
    this.createdAt = now
    this.clientHas = held !== undefined
    if (held === undefined) return
    this.reason = this.judge(held)
    this.rejected = this.reason !== null
    if (this.rejected) return
    this.data = new Map([...held.data].map(([key, value]) => [key, structuredClone(value)]))
    this.past = text(held.data)
    this.isNew = false
    this.isHeld = true
    this.sameId = true
    this.idle = held.idle
    this.createdAt = held.createdAt
    this.due = held.secret !== newest || (rolling && held.expiresAt - now < idleOf(held.idle) / 2)
  }

  judge ({ tampered, expiresAt, createdAt }: Held): string | null {
    if (tampered) return 'tampered'
    if (expiresAt <= this.now - SKEW) return 'expired'
    return createdAt + ABSOLUTE <= this.now ? 'outlived' : null
  }

  apply (step: Step): void {
    switch (step.do) {
      case 'set': this.data.set(step.key, structuredClone(step.value)); break
      case 'push': if (Array.isArray(this.data.get(step.key))) (this.data.get(step.key) as Json[]).push(1); break
      case 'delete': this.data.delete(step.key); break
      case 'clear': this.data.clear(); break
      case 'touch': this.asked ||= !this.ended; break
      case 'persist':
        this.idle = step.seconds
        this.asked ||= !this.ended
        break
      case 'regenerate': this.renew(step.keep, false); break
      case 'destroy': this.renew([], true); break
      case 'commit': this.commit()
    }
  }

  renew (keep: string[], ended: boolean): void {
    this.data = new Map(keep.filter(key => this.data.has(key)).map(key => [key, this.data.get(key)!]))
    this.past = '{}'
    this.isNew = true
    this.isHeld = false
    this.due = false
    this.sameId = false
    this.idle = undefined
    this.createdAt = this.now
    this.asked = !ended
    this.ended = ended
    this.renewed = true
  }

  /** Saves, if necessary, at the end of a request or when the app calls commit(). */
  commit (): void {
    const changed = text(this.data) !== this.past || this.asked || this.due
    if (this.data.size > 0 && changed) {
      const { createdAt, idle, now, newest } = this
      const data = new Map([...this.data].map(([key, value]) => [key, structuredClone(value)]))
      this.written = { data, createdAt, idle, expiresAt: now + idleOf(idle), secret: newest, tampered: false }
      this.clientHas = this.isHeld = true
      this.ended = this.rejected = false
    } else if (this.data.size === 0 && this.clientHas && (this.renewed || this.rejected || (changed && this.isHeld))) {
      this.written = 'clear'
      this.clientHas = this.isHeld = this.rejected = false
    }
    this.past = text(this.data)
    this.asked = this.renewed = this.due = false
  }

  /** Saving fails; an ended session stays ended. */
  fail (): void {
    if (this.ended && this.renewed && this.clientHas) this.written = 'clear'
  }
}

async function play (clock: { advance (ms: number): unknown }, rolling: boolean, history: Event[]): Promise<void> {
  let script: Extract<Event, { event: 'request' }>
  const before: Seen[] = []
  const after: Seen[] = []
  const route = async (request: FastifyRequest, reply: FastifyReply): Promise<unknown> => {
    before.push(seen(request))
    for (const step of script.steps) await applyStep(request, reply, step)
    after.push(seen(request))
    if (script.end === 'throw') throw new Error('the app fails')
    if (script.end === 'date') request.session.any = new Date(0)
    return { ok: true }
  }
  const options = { idleTimeout: IDLE / SECOND, absoluteTimeout: ABSOLUTE / SECOND, rolling }
  const apps = [
    await makeApp({ ...options, secret: olderSecret }, { '/': route, '/ignore': () => {} }),
    await makeApp({ ...options, secret: [secret, olderSecret] }, { '/': route, '/ignore': () => {} })
  ]
  let newest = 0
  let held: Held | undefined
  const jar = new Jar(apps[0]!)
  for (const event of history) {
    const now = Date.now()
    switch (event.event) {
      case 'wait': clock.advance(event.seconds * SECOND); break
      case 'rotate secret':
        newest = 1
        Object.assign(jar, { app: apps[1] })
        break
      case 'lose cookie':
        held = undefined
        jar.cookies.clear()
        break
      case 'tamper':
        if (held !== undefined && !held.tampered) {
          held.tampered = true
          jar.cookies.set('session', jar.cookies.get('session')!.replace(/.$/, last => last === 'A' ? 'E' : 'A'))
        }
        break
      case 'ignore': {
        const { setCookies, status } = await jar.get('/ignore')
        equal('a request that does not read the session', [status, setCookies], [200, []])
        break
      }
      case 'request': {
        script = event
        const model = new Model(now, held, rolling, newest)
        const answer = await jar.get('/')
        const first = before.pop()!
        equal('what is loaded', { ...first, id: '' }, { data: Object.fromEntries(model.data), id: '', reason: model.reason, isNew: model.isNew })
        if (model.sameId) equal('the id', first.id, held!.id)
        for (const step of event.steps) model.apply(step)
        const last = after.pop()!
        equal('the data at the end', JSON.stringify(last.data), text(model.data))
        if (model.sameId) equal('the id at the end', last.id, held!.id)
        else if (held !== undefined) equal('a new id', last.id === held.id, false)
        if (event.end === 'date') model.fail()
        else model.commit()
        equal('the status', answer.status, event.end === 'answer' ? 200 : 500)
        const { written } = model
        if (written === 'nothing') {
          equal('no cookie', answer.setCookies, [])
        } else if (written === 'clear') {
          equal('a cleared cookie', answer.setCookies.map(line => /^session=; Max-Age=0;/.test(line)), [true])
          held = undefined
        } else {
          const [line] = answer.setCookies as [string]
          equal('one cookie', answer.setCookies.length, 1)
          const maxAge = written.idle !== false && Math.ceil(Math.min(idleOf(written.idle), written.createdAt + ABSOLUTE - now) / SECOND)
          equal('its Max-Age', Number(/; Max-Age=(\d+)/.exec(line)?.[1] ?? NaN), maxAge === false ? NaN : maxAge)
          const opened = await jar.app.session.unseal(jar.cookies.get('session')!)
          held = { ...written, id: opened.ok ? opened.info.id : opened.reason }
        }
      }
    }
  }
}

function equal (what: string, found: unknown, wanted: unknown): void {
  const [a, b] = [found, wanted].map(value => JSON.stringify(value, (_key, value: unknown) => Number.isNaN(value) ? 'none' : value))
  if (a !== b) throw new Error(`${what}: found ${a}, wanted ${b}`)
}

for (const rolling of [true, false]) {
  t.test(`a session behaves like a simple model of it, rolling: ${rolling}`, { timeout: 0 }, async t => {
    await fc.assert(fc.asyncProperty(fc.array(events, { minLength: 3, maxLength: 14, size: 'max' }), async history => {
      t.clock.enter()
      try {
        await play(t.clock, rolling, history)
      } finally {
        t.clock.exit()
      }
    }), runs(250))
    t.pass()
  })
}

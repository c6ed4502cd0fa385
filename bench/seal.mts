import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hash, randomBytes } from 'node:crypto'
import { createRequire } from 'node:module'
import { parseArgs } from 'node:util'
import * as ironWebcrypto from 'iron-webcrypto'
import { parseSealerOptions } from '../lib/options/options.js'
import { randomId } from '../lib/seal/random.js'
import { SessionSealer } from '../lib/seal/sealer.js'
import type { SealerOptions } from '../types/index.js'
import { lineCharts } from './chart.mjs'
import { secret } from './peers.mjs'
import { date, publish, setting, table } from './results.mjs'
import { fit, median, ratios, showSpread, spread } from './stats.mjs'

const { values: { quick } } = parseArgs({ options: { quick: { type: 'boolean', default: false } } })
const rounds = quick ? 2 : 7
/** Of CPU time, for each turn of each subject. Shorter ones would time V8's compiler. */
const TURN_MS = quick ? 20 : 200

interface Secretbox {
  randombytes_buf (target: Buffer): void
  crypto_secretbox_easy (sealed: Buffer, text: Buffer, nonce: Buffer, key: Buffer): void
  crypto_secretbox_open_easy (text: Buffer, sealed: Buffer, nonce: Buffer, key: Buffer): boolean
}
const require = createRequire(import.meta.url)
const sodium = require('sodium-native') as Secretbox
const hapiIron = require('@hapi/iron') as typeof ironWebcrypto

/** The work of one call; the number says the how-manieth it is. */
type Work = (nth: number) => unknown

interface Subject { title: string, seal: Work, unseal: Work }

/** A session of so many bytes of JSON. */
function dataOf (bytes: number): { user: string, text: string } {
  const data = { user: 'u-1234567', text: '' }
  return { ...data, text: 'The quick brown fox jumps. '.repeat(bytes).slice(0, bytes - JSON.stringify(data).length) }
}

/** More than the caches hold, so that every token is new to the code and to the processor's caches alike */
const TOKENS = 4000
/** A V8 string of its own, as one that comes from a socket is. */
const arrived = (token: string): string => Buffer.from(token, 'latin1').toString('latin1')

/** @param sealedBy the options of the one who sealed what is to be unsealed, where they differ */
async function ours (
  title: string, data: object, options: Partial<SealerOptions> = {}, sealedBy: Partial<SealerOptions> = options
): Promise<Subject> {
  const make = (own: Partial<SealerOptions>): SessionSealer => new SessionSealer(parseSealerOptions({ secret, cacheSize: 0, ...own }))
  const sealer = make(options)
  const writer = make(sealedBy)
  const tokens: string[] = []
  while (tokens.length < (sealer.sync ? TOKENS : 20)) tokens.push(await sealWith(writer, data))
  return { title, seal: () => sealWith(sealer, data), unseal: nth => sealer.unseal(arrived(tokens[nth % tokens.length]!)) }
}

function sealWith (sealer: SessionSealer, data: object): string | Promise<string> {
  return sealer.seal({ id: randomId(), createdAt: Date.now(), idle: undefined, text: JSON.stringify(data), stored: false })
}

async function remembered (data: object): Promise<Subject> {
  const sealer = new SessionSealer(parseSealerOptions({ secret }))
  const token = await sealWith(sealer, data)
  return { title: 'fastify-sealed-session, remembered', seal: () => undefined, unseal: () => sealer.unseal(arrived(token)) }
}

/** Another implementation of the protocol, with a password and its own defaults. */
async function iron (title: string, { seal, unseal, defaults }: typeof ironWebcrypto, data: object): Promise<Subject> {
  const token = await seal(data, secret, defaults)
  return { title, seal: () => seal(data, secret, defaults), unseal: () => unseal(token, secret, defaults) }
}

/** As @fastify/secure-session does it. */
function secretbox (data: object): Subject {
  const key = randomBytes(32)
  const seal = (): string => {
    const text = Buffer.from(JSON.stringify(data))
    const nonce = Buffer.allocUnsafe(24)
    sodium.randombytes_buf(nonce)
    const sealed = Buffer.allocUnsafe(text.length + 16)
    sodium.crypto_secretbox_easy(sealed, text, nonce, key)
    return `${sealed.toString('base64')};${nonce.toString('base64')}`
  }
  const tokens = Array.from({ length: TOKENS }, seal)
  return {
    title: 'libsodium secretbox',
    seal,
    unseal (nth) {
      const [sealed, nonce] = arrived(tokens[nth % TOKENS]!).split(';').map(part => Buffer.from(part, 'base64')) as [Buffer, Buffer]
      const text = Buffer.allocUnsafe(sealed.length - 16)
      if (!sodium.crypto_secretbox_open_easy(text, sealed, nonce, key)) throw new Error('secretbox does not open')
      return JSON.parse(text.toString()) as object
    }
  }
}

/** The bytes that a seal of this data ciphers (the padded envelope) and signs (the token less its last two parts). */
async function bytesOf (data: object): Promise<{ text: Buffer, signed: Buffer }> {
  const parts = (await sealWith(new SessionSealer(parseSealerOptions({ secret })), data)).split('*')
  return { text: Buffer.from(parts[4]!, 'base64url'), signed: Buffer.from(parts.slice(0, -2).join('*')) }
}

/** One AES-256-CBC and one HMAC-SHA-256 of OpenSSL over the same bytes, each as node:crypto's documentation has it. */
async function openssl (data: object): Promise<Subject> {
  const { text, signed } = await bytesOf(data)
  const key = randomBytes(32)
  const iv = randomBytes(16)
  const hmacKey = createSecretKey(key)
  const sign = (): unknown => createHmac('sha256', hmacKey).update(signed).digest()
  const run = (cipher: ReturnType<typeof createCipheriv>): void => {
    cipher.setAutoPadding(false)
    cipher.update(text)
    cipher.final()
    sign()
  }
  return {
    title: 'OpenSSL floor',
    seal: () => run(createCipheriv('aes-256-cbc', key, iv)),
    unseal: () => run(createDecipheriv('aes-256-cbc', key, iv))
  }
}

/** The same bytes by the least that Node can do: a cipher that lives on, and the two hashes that an HMAC is. */
async function barest (data: object): Promise<Subject> {
  const { text, signed } = await bytesOf(data)
  const key = randomBytes(32)
  const iv = randomBytes(16)
  const cipher = createCipheriv('aes-256-cbc', key, iv).setAutoPadding(false)
  const decipher = createDecipheriv('aes-256-cbc', key, iv).setAutoPadding(false)
  const inner = Buffer.concat([Buffer.alloc(64, 1), signed])
  const outer = Buffer.alloc(96, 2)
  const run = (cipher: { update (data: Buffer): Buffer }): void => {
    cipher.update(text)
    hash('sha256', inner, 'binary')
    hash('sha256', outer, 'binary')
  }
  return { title: 'OpenSSL floor, living cipher', seal: () => run(cipher), unseal: () => run(decipher) }
}

/** CPU time, user and system, of one call in µs, over as many calls as fill a turn. */
async function time (work: Work, calls: number): Promise<number> {
  // Nobody pays for the garbage of the one before him.
  global.gc!()
  const before = process.cpuUsage()
  for (let nth = 0; nth < calls; nth++) {
    const pending = work(nth)
    if (pending instanceof Promise) await pending
  }
  const { user, system } = process.cpuUsage(before)
  return (user + system) / calls
}

/** How many calls fill a turn, found by doubling, which warms up too. */
async function callsFor (work: Work): Promise<number> {
  for (let calls = 8; ; calls *= 2) {
    const micros = await time(work, calls)
    if (micros * calls > TURN_MS * 1000) return Math.ceil(TURN_MS * 1000 / micros)
  }
}

/** Every subject in turns, there and back again: its figure of each round. */
async function measure (works: readonly Work[]): Promise<number[][]> {
  const calls: number[] = []
  for (const work of works) calls.push(await callsFor(work))
  const taken = works.map((): number[] => [])
  const order = [...works.keys()]
  for (let round = 0; round < rounds; round++) {
    for (const at of order) taken[at]!.push(await time(works[at]!, calls[at]!))
    order.reverse()
  }
  return taken
}

const FLOOR = 0
const BAREST = 1
const sizes = quick ? [100, 1000] : [100, 300, 1000, 3000]
const verbs = ['seal', 'unseal'] as const
const figures: Record<typeof verbs[number], Map<string, Array<[number, number]>>> = { seal: new Map(), unseal: new Map() }
const sections: string[] = []

for (const bytes of sizes) {
  const data = dataOf(bytes)
  const subjects = await Promise.all([
    openssl(data), barest(data), ours('fastify-sealed-session', data), remembered(data), secretbox(data),
    ours('fastify-sealed-session, iron-webcrypto engine', data, { iron: { timestampSkewSec: 60 } }), iron('@hapi/iron', hapiIron, data), iron('iron-webcrypto', ironWebcrypto, data)
  ])
  for (const verb of verbs) {
    const able = subjects.filter(subject => verb === 'unseal' || !subject.title.endsWith('remembered'))
    const taken = await measure(able.map(subject => subject[verb]))
    const lines = able.map(({ title }, at) => {
      const points = figures[verb].get(title) ?? []
      figures[verb].set(title, [...points, [bytes, median(taken[at]!)]])
      return [title, median(taken[at]!).toFixed(2), ...[FLOOR, BAREST].map(floor => showSpread(spread(ratios(taken[at]!, taken[floor]!))))]
    })
    sections.push(`### ${verb}, ${bytes} bytes of data`, table(['', 'CPU, µs', '/ floor', '/ floor, living cipher'], lines))
  }
}

// Rotation: the oldest of so many secrets has sealed, the newest seals.
const counts = [1, 2, 8]
const rotation = await Promise.all(counts.map(count => {
  const secrets = Array.from({ length: count }, (_, nth) => `${nth} ${secret}`)
  return ours(String(count), dataOf(300), { secret: secrets }, { secret: secrets.at(-1)! })
}))
const rotated = { seal: await measure(rotation.map(({ seal }) => seal)), unseal: await measure(rotation.map(({ unseal }) => unseal)) }
const rotationLines = counts.map((count, at) => [String(count), ...verbs.flatMap(verb =>
  [median(rotated[verb][at]!).toFixed(2), showSpread(spread(ratios(rotated[verb][at]!, rotated[verb][0]!)))])])

const growth = verbs.map(verb => {
  const { base, slope, explained } = fit(figures[verb].get('fastify-sealed-session')!.map(([bytes, micros]) => [bytes / 1000, micros]))
  return `${verb} ≈ ${base.toFixed(1)} µs + ${slope.toFixed(1)} µs per 1000 bytes (R² ${explained.toFixed(3)})`
})

const text = [
  '# What sealing costs alone',
  setting(['iron-webcrypto', '@hapi/iron', 'sodium-native']),
  `CPU time per call in one process, subjects in turns there and back, medians of ${rounds} rounds; in brackets the smallest and the largest ` +
  'ratio of a round. Sealing starts at the data and ends at the cookie\'s value, unsealing the other way, JSON included. Every token is a ' +
  'new one, but for «remembered», whose verified text is in the cache. The floor is one AES-256-CBC and one HMAC-SHA-256 of OpenSSL over the ' +
  'same bytes, called through node:crypto as its documentation has it, and once more with a cipher object that lives on and two one-shot hashes.',
  '## By size of the data',
  ...sections,
  `As lines: ${growth.join('; ')}.`,
  '## By number of secrets',
  'The oldest secret sealed what is unsealed, 300 bytes; ratios to one secret.',
  table(['secrets', 'seal, µs', '/ one', 'unseal, µs', '/ one'], rotationLines),
  'What to expect is no growth: the id in a seal names its secret, so that more of them cost one look-up all the same.'
].join('\n\n') + '\n'

const shown = ['OpenSSL floor', 'fastify-sealed-session', 'fastify-sealed-session, remembered', 'libsodium secretbox']
const charts = verbs.map(verb => ({
  title: verb,
  x: 'bytes of data',
  y: 'CPU, µs',
  series: shown.filter(title => figures[verb].has(title)).map(title =>
    ({ title: title.replace('fastify-sealed-session', 'this'), points: figures[verb].get(title)!, ours: title.startsWith('fastify-sealed-session') }))
}))
publish('seal', text, lineCharts(charts, `CPU time of one call. Node ${process.versions.node}, ${date}.`), !quick)

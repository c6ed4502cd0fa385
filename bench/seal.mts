import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hash, pbkdf2Sync, randomBytes, timingSafeEqual } from 'node:crypto'
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

/** A session that has an id: drawing one is no part of sealing. */
const id = randomId()
function sealWith (sealer: SessionSealer, data: object): string | Promise<string> {
  return sealer.seal({ id, createdAt: Date.now(), idle: undefined, text: JSON.stringify(data), stored: false })
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

/**
 * The calls into node:crypto, Buffer and JSON that one seal and one unseal of this package make, over the same bytes, and nothing else: no
 * look-up, no object, no regular expression. The tokens are real ones, and are cut at places that are known beforehand.
 */
async function nativeCalls (data: object): Promise<Subject> {
  const sealer = new SessionSealer(parseSealerOptions({ secret, cacheSize: 0 }))
  const tokens: string[] = []
  while (tokens.length < TOKENS) tokens.push(await sealWith(sealer, data))
  const [protocol, keyId, encryptionSalt, iv, ciphertext, expiry, integritySalt, mac] = tokens[0]!.split('*') as [string, string, string, string, string, string, string, string]
  const derive = (salt: string): Buffer => pbkdf2Sync(secret, salt, 1, 32, 'sha1')

  const key = derive(encryptionSalt)
  const cipher = createCipheriv('aes-256-cbc', key, randomBytes(16)).setAutoPadding(false)
  const decipher = createDecipheriv('aes-256-cbc', key, randomBytes(16)).setAutoPadding(false)
  const pad = (byte: number, length: number): Buffer => {
    const padded = Buffer.alloc(length, byte)
    derive(integritySalt).forEach((bits, at) => { padded[at]! ^= bits })
    return padded
  }
  const prefix = `${protocol}*${keyId}*${encryptionSalt}*`
  const signedLength = `${prefix}${iv}*${ciphertext}*${expiry}`.length
  const inner = Buffer.concat([pad(0x36, 64), Buffer.alloc(signedLength)])
  const outer = pad(0x5c, 96)
  const [computed, claimed] = [Buffer.alloc(32), Buffer.alloc(32)]
  const digest = (signed: string, encoding: 'binary' | 'base64url'): string => {
    inner.write(signed, 64, 'latin1')
    outer.write(hash('sha256', inner, 'binary'), 64, 'latin1')
    return hash('sha256', outer, encoding)
  }

  // Where the parts of every token, and the data in its text, begin and end.
  const [ivAt, ciphertextAt] = [prefix.length, prefix.length + iv.length + 1]
  const ciphertextEnd = ciphertextAt + ciphertext.length
  const macAt = tokens[0]!.length - mac.length
  const input = Buffer.alloc(16 + Buffer.byteLength(ciphertext, 'base64url'))
  input.write(iv, 'base64url')
  input.write(ciphertext, 16, 'base64url')
  const padded = decipher.update(input)
  const textEnd = padded.length - padded.at(-1)!
  const dataAt = padded.toString('utf8', 16, textEnd).indexOf('"d":') + 4
  const envelopeHead = padded.toString('utf8', 16, 16 + dataAt)

  const pool = randomBytes(4096)
  const output = Buffer.from(padded)
  return {
    title: 'its native calls',
    seal (nth) {
      pool.copy(output, 0, nth % 256 * 16, nth % 256 * 16 + 16)
      output.write(`${envelopeHead}${JSON.stringify(data)}}`, 16)
      const sealed = cipher.update(output)
      const signed = `${prefix}${sealed.toString('base64url', 0, 16)}*${sealed.toString('base64url', 16)}*${expiry}`
      return `${signed}*${integritySalt}*${digest(signed, 'base64url')}`
    },
    unseal (nth) {
      const token = arrived(tokens[nth % TOKENS]!)
      computed.write(digest(token.slice(0, signedLength), 'binary'), 'latin1')
      claimed.write(token.slice(macAt), 'base64url')
      if (!timingSafeEqual(computed, claimed)) throw new Error('the native calls do not verify')
      input.write(token.slice(ivAt, ciphertextAt - 1), 'base64url')
      input.write(token.slice(ciphertextAt, ciphertextEnd), 16, 'base64url')
      return JSON.parse(decipher.update(input).toString('utf8', 16, textEnd).slice(dataAt, -1)) as object
    }
  }
}

/** Fails if the native calls do not do what sealing and unsealing do. */
async function checkNativeCalls ({ seal, unseal }: Subject, data: object): Promise<void> {
  const opened = await new SessionSealer(parseSealerOptions({ secret, cacheSize: 0 })).unseal(seal(0) as string)
  if (!opened.ok || JSON.stringify(opened.data) !== JSON.stringify(data)) throw new Error('what the native calls seal does not open')
  if (JSON.stringify(unseal(1)) !== JSON.stringify(data)) throw new Error('the native calls open something else')
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
const NATIVE = 1
const sizes = quick ? [100, 1000] : [100, 300, 1000, 3000]
const verbs = ['seal', 'unseal'] as const
const figures: Record<typeof verbs[number], Map<string, Array<[number, number]>>> = { seal: new Map(), unseal: new Map() }
const sections: string[] = []

for (const bytes of sizes) {
  const data = dataOf(bytes)
  const subjects = await Promise.all([
    openssl(data), nativeCalls(data), ours('fastify-sealed-session', data), remembered(data), secretbox(data),
    ours('fastify-sealed-session, iron-webcrypto engine', data, { iron: { timestampSkewSec: 60 } }), iron('@hapi/iron', hapiIron, data), iron('iron-webcrypto', ironWebcrypto, data)
  ])
  await checkNativeCalls(subjects[NATIVE]!, data)
  for (const verb of verbs) {
    const able = subjects.filter(subject => verb === 'unseal' || !subject.title.endsWith('remembered'))
    const taken = await measure(able.map(subject => subject[verb]))
    const lines = able.map(({ title }, at) => {
      const points = figures[verb].get(title) ?? []
      figures[verb].set(title, [...points, [bytes, median(taken[at]!)]])
      return [title, median(taken[at]!).toFixed(2), ...[FLOOR, NATIVE].map(floor => showSpread(spread(ratios(taken[at]!, taken[floor]!))))]
    })
    sections.push(`### ${verb}, ${bytes} bytes of data`, table(['', 'CPU, µs', '/ floor', '/ its native calls'], lines))
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
  'new one, but for "remembered", whose verified text is in the cache. The floor is one AES-256-CBC and one HMAC-SHA-256 of OpenSSL over the ' +
  'same bytes, called through node:crypto as its documentation shows. "Its native calls" are the calls into node:crypto, Buffer and JSON that this ' +
  'package makes for the same token, without any code around them: what is above 1 in the last column is code of this package.',
  '## By size of the data',
  ...sections,
  `As lines: ${growth.join('; ')}.`,
  '## By number of secrets',
  'The oldest secret sealed what is unsealed, 300 bytes; ratios to one secret.',
  table(['secrets', 'seal, µs', '/ one', 'unseal, µs', '/ one'], rotationLines),
  'What to expect is no growth: the id in a seal names its secret, so that more of them cost one look-up all the same.'
].join('\n\n') + '\n'

const shown = ['OpenSSL floor', 'its native calls', 'fastify-sealed-session', 'fastify-sealed-session, remembered', 'libsodium secretbox']
const charts = verbs.map(verb => ({
  title: verb,
  x: 'bytes of data',
  y: 'CPU, µs',
  series: shown.filter(title => figures[verb].has(title)).map(title =>
    ({ title: title.replace('fastify-sealed-session', 'this'), points: figures[verb].get(title)!, ours: title.startsWith('fastify-sealed-session') }))
}))
publish('seal', text, lineCharts(charts, `CPU time of one call. Node ${process.versions.node}, ${date}.`), !quick)

import { isDictionary } from '../json.js'
import type { Lifetimes } from '../lifetimes.js'
import type { Opened } from '../seal/engine.js'
import { copyOf, Lru } from '../seal/lru.js'
import type { SessionSealer } from '../seal/sealer.js'
import { then } from '../then.js'
import type { MaybePromise } from '../then.js'

/**
 * What a note is for: the proof in the bound cookie, or a challenge for a registration or a refresh. None of them can stand in for
 * another one, because it is sealed in.
 */
export type Kind = 'proof' | 'registration' | 'refresh'

/** What is sealed in a note. */
export interface Note {
  readonly kind: Kind
  /** A binding's id; that of a session in a challenge for its registration */
  readonly about: string
  /** Milliseconds since 1970 */
  readonly issuedAt: number
  readonly expiresAt: number
}

/** Characters of base64url */
const MAC_LENGTH = 43

/**
 * Seals of our own that are no session. The server keeps nothing of them.
 *
 * Their text has the five keys of a session's envelope and a version that no session has. So every reader of sessions, of any
 * version and with any `interop`, says `foreign` to them.
 */
export class Notes {
  readonly #sealer: SessionSealer
  readonly #times: Lifetimes
  readonly #sessionName: string
  readonly #cache: Lru<Note & { token: string }>

  constructor (sealer: SessionSealer, sessionName: string, cacheSize: number) {
    this.#sealer = sealer
    this.#times = sealer.times
    this.#sessionName = sessionName
    this.#cache = new Lru(cacheSize)
  }

  /** @param seconds how long it lasts */
  seal (kind: Kind, about: string, seconds: number): MaybePromise<string> {
    const now = Math.floor(this.#times.now())
    const text = JSON.stringify({ v: 'bound', n: this.#sessionName, i: about, c: now, d: kind })
    return this.#sealer.sealText(text, now + seconds * 1000)
  }

  /** A note that is good at this moment. Its expiry is exact: the skew that sessions are granted must not stretch it. */
  open (token: string, kind: Kind): MaybePromise<Note | undefined> {
    return then(this.#read(token), note => note?.kind === kind && note.expiresAt > this.#times.now() ? note : undefined)
  }

  #read (token: string): MaybePromise<Note | undefined> {
    const known = this.#cache.get(token.slice(-MAC_LENGTH))
    if (known?.token === token) return known
    return then(this.#sealer.openText(token), opened => {
      const text = opened.ok ? parse(opened.text) : undefined
      if (text?.v !== 'bound' || text.n !== this.#sessionName) return undefined
      const { i, c, d } = text
      const note = { token: copyOf(token), kind: d as Kind, about: i as string, issuedAt: c as number, expiresAt: (opened as Opened & { ok: true }).expiresAt }
      // A proof comes with every request until it expires, a challenge once.
      if (note.kind === 'proof') this.#cache.set(note.token.slice(-MAC_LENGTH), note)
      return note
    })
  }
}

/** Whatever else was sealed with the secret may be anything. */
function parse (text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return isDictionary(value) ? value as Record<string, unknown> : undefined
  } catch {
    return undefined
  }
}

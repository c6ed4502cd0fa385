import type { SessionReason } from '../../types/index.js'
import type { MaybePromise } from '../then.js'
import type { Key } from './keyring.js'
import type { Token } from './token.js'

/** What an engine makes of a token: the sealed text, or why it did not open. */
export type Opened =
  { ok: true, text: string, key: Key, expiresAt: number } | { ok: false, reason: SessionReason }

/** Seals text and opens tokens; one on node:crypto, one on iron-webcrypto. */
export interface Engine {
  /** Whether it answers synchronously; otherwise with promises */
  readonly sync: boolean
  /** @param expiresAt milliseconds since 1970 */
  seal (text: string, expiresAt: number): MaybePromise<string>
  open (token: Token): MaybePromise<Opened>
}

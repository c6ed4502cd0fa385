import type { SessionReason } from '../../types/index.js'
import type { MaybePromise } from '../then.js'
import type { Key } from './keyring.js'

/** The result of opening a token: the sealed text, or why it did not open. */
export type Opened =
  { ok: true, text: string, key: Key, expiresAt: number } | { ok: false, reason: SessionReason }

/** Seals text and opens tokens. `NodeEngine` uses node:crypto, `IronEngine` iron-webcrypto. */
export interface Engine {
  /** Whether it returns values; otherwise it returns promises */
  readonly sync: boolean
  /** @param expiresAt milliseconds since 1970 */
  seal (text: string, expiresAt: number): MaybePromise<string>
  open (token: string): MaybePromise<Opened>
}

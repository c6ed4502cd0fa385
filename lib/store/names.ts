import { hash } from 'node:crypto'

// Ids and users may be any string. A key of Redis and a text of PostgreSQL are UTF-8, which has no lone surrogates, and
// PostgreSQL has no NUL. In Redis, names that start with "user:" are those of indexes.
const ODD = /^(?:user:|id:)|[\0\p{Surrogate}]/u

/** An id as a store writes it: as it is, unless it is odd. Two ids never become one. */
export function encodeId (id: string): string {
  return ODD.test(id) ? `id:${Buffer.from(id, 'utf16le').toString('base64url')}` : id
}

/** The id that was encoded. */
export function decodeId (encoded: string): string {
  return encoded.startsWith('id:') ? Buffer.from(encoded.slice(3), 'base64url').toString('utf16le') : encoded
}

/** A user as a store writes it: 32 bytes, so that a name may be of any length and is in no key, log or backup. */
export function hashUser (user: string): string {
  return hash('sha256', Buffer.from(user, 'utf16le'), 'base64url')
}

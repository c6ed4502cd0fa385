import { hash } from 'node:crypto'

// Ids and users may be any string. Redis keys and PostgreSQL text are UTF-8, which has no lone surrogates, and PostgreSQL text
// has no NUL. In Redis, keys that start with "user:" are indexes.
const ODD = /^(?:user:|id:)|[\0\p{Surrogate}]/u

/** Encodes an id for a store. Most ids stay unchanged. Different ids have different encodings. */
export function encodeId (id: string): string {
  return ODD.test(id) ? `id:${Buffer.from(id, 'utf16le').toString('base64url')}` : id
}

/** Decodes an id. */
export function decodeId (encoded: string): string {
  return encoded.startsWith('id:') ? Buffer.from(encoded.slice(3), 'base64url').toString('utf16le') : encoded
}

/** Hashes a user to 32 bytes, so that an id may have any length and never appears in a key, log or backup. */
export function hashUser (user: string): string {
  return hash('sha256', Buffer.from(user, 'utf16le'), 'base64url')
}

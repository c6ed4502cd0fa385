import { createHash } from 'node:crypto'
import { invalid } from '../../options/checks.js'

/** The bytes that PostgreSQL allows in a name, without the suffix for the name of an index */
const MAX_BYTES = 63 - '_expires_at'.length
/** The rows that one statement prunes: few, so that it does not hold locks for long */
export const BATCH = 1000

/** The statements for one table. They use the database's clock. */
export interface Statements {
  readonly get: string
  readonly getMany: string
  readonly set: string
  readonly replace: string
  readonly touch: string
  readonly delete: string
  readonly find: string
  readonly prune: string
  /** Whether the table and its indexes exist */
  readonly isMigrated: string
  readonly migrate: string
  readonly listen: string
  /** The channel of `listen` */
  readonly channel: string
}

/** @throws FST_SESSION_INVALID_OPTION */
export function statementsFor (table: string): Statements {
  const parts = parseTable(table)
  const name = parts.map(quote).join('.')
  const [byUser, byExpiry] = [`${parts.at(-1)!}_user`, `${parts.at(-1)!}_expires_at`]
  const indexName = (index: string): string => [...parts.slice(0, -1), index].map(quote).join('.')
  const channel = `session_ended_${digest(table).toString('hex', 0, 16)}`
  const expiresIn = (milliseconds: string): string => `now() + ${milliseconds}::float8 * interval '1 millisecond'`
  return {
    channel,
    listen: `LISTEN ${channel}`,
    get: `SELECT value FROM ${name} WHERE id = $1 AND expires_at > now()`,
    getMany: `SELECT id, value FROM ${name} WHERE id = ANY($1::text[]) AND expires_at > now()`,
    set: `INSERT INTO ${name} (id, value, user_hash, expires_at) VALUES ($1, $2, $3, ${expiresIn('$4')}) ON CONFLICT (id) ` +
      'DO UPDATE SET value = excluded.value, user_hash = excluded.user_hash, expires_at = excluded.expires_at',
    replace: `UPDATE ${name} SET value = $2, user_hash = $3, expires_at = ${expiresIn('$4')} WHERE id = $1 AND value = $5 AND expires_at > now()`,
    touch: `UPDATE ${name} SET expires_at = ${expiresIn('$2')} WHERE id = $1 AND expires_at > now()`,
    // NOTIFY rejects a payload of 8000 bytes or more.
    delete: `DELETE FROM ${name} WHERE id = $1 RETURNING expires_at > now() AS live, ` +
      `CASE WHEN expires_at > now() AND octet_length(id) < 8000 THEN pg_notify('${channel}', id) END`,
    find: `SELECT id, value, (extract(epoch FROM expires_at) * 1000)::float8 AS ends FROM ${name} WHERE user_hash = $1 AND expires_at > now()`,
    // The advisory lock is requested once, before any row. Rows that others have locked are left for the next run.
    prune: `DELETE FROM ${name} WHERE id IN (SELECT id FROM ${name} WHERE (SELECT pg_try_advisory_xact_lock(${lock('prune', table)})) ` +
      `AND expires_at <= now() ORDER BY expires_at LIMIT ${BATCH} FOR UPDATE SKIP LOCKED)`,
    isMigrated: `SELECT ${[name, indexName(byUser), indexName(byExpiry)].map(what => `to_regclass(${literal(what)}) IS NOT NULL`).join(' AND ')} AS done`,
    // Several statements in one query are one transaction.
    migrate: `SELECT pg_advisory_xact_lock(${lock('migrate', table)});
      CREATE TABLE IF NOT EXISTS ${name} (id text COLLATE "C" PRIMARY KEY, value text NOT NULL, user_hash bytea, expires_at timestamptz NOT NULL);
      CREATE INDEX IF NOT EXISTS ${quote(byUser)} ON ${name} (user_hash) WHERE user_hash IS NOT NULL;
      CREATE INDEX IF NOT EXISTS ${quote(byExpiry)} ON ${name} (expires_at)`
  }
}

function parseTable (table: unknown): string[] {
  const parts = typeof table === 'string' ? table.split('.') : []
  if (parts.length < 1 || parts.length > 2 || !parts.every(isName)) {
    throw invalid('table', `a name, or a schema's and a table's with a dot between them, of at most ${MAX_BYTES} bytes each`, table)
  }
  return parts
}

const isName = (part: string): boolean => part !== '' && !part.includes('\0') && Buffer.byteLength(part) <= MAX_BYTES
const quote = (part: string): string => `"${part.replaceAll('"', '""')}"`
// E'…' does not depend on standard_conforming_strings.
const literal = (text: string): string => `E'${text.replaceAll(/['\\]/g, '\\$&')}'`
const digest = (text: string): Buffer => createHash('sha256').update(text).digest()

/** The two keys of an advisory lock. */
function lock (purpose: string, table: string): string {
  const bytes = digest(`fastify-sealed-session ${purpose} ${table}`)
  return `${bytes.readInt32BE(0)}, ${bytes.readInt32BE(4)}`
}

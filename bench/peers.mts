/** Where a peer keeps what it knows of a visitor. */
export type Keeps =
  'nothing' | 'a cookie, no session' | 'the session in the cookie' | 'the session in memory' | 'the session in Redis' | 'the session in PostgreSQL'

export interface Peer {
  /** What the tables call it */
  readonly title: string
  readonly framework: 'fastify' | 'express'
  readonly keeps: Keeps
  readonly packages: readonly string[]
  /** Where it takes so much longer than others that fewer requests tell as much */
  readonly slow?: 'with a session' | 'always'
}

/** In the order in which they take turns: whom this package is compared with stands near it. */
export const peers: Record<string, Peer> = {
  fastify: { title: 'Fastify', framework: 'fastify', keeps: 'nothing', packages: ['fastify'] },
  cookie: {
    title: 'Fastify + @fastify/cookie', framework: 'fastify', keeps: 'a cookie, no session', packages: ['@fastify/cookie']
  },
  this: {
    title: 'fastify-sealed-session', framework: 'fastify', keeps: 'the session in the cookie', packages: []
  },
  'secure-session': {
    title: '@fastify/secure-session', framework: 'fastify', keeps: 'the session in the cookie', packages: ['@fastify/secure-session', 'sodium-native']
  },
  // Measured twice, it tells how noisy the run was.
  again: {
    title: 'fastify-sealed-session, again', framework: 'fastify', keeps: 'the session in the cookie', packages: []
  },
  mgcrea: {
    title: '@mgcrea/fastify-session (sodium)',
    framework: 'fastify',
    keeps: 'the session in the cookie',
    packages: ['@mgcrea/fastify-session', '@mgcrea/fastify-session-sodium-crypto']
  },
  session: {
    title: '@fastify/session (memory)', framework: 'fastify', keeps: 'the session in memory', packages: ['@fastify/session']
  },
  'iron-session': {
    title: 'iron-session', framework: 'fastify', keeps: 'the session in the cookie', packages: ['iron-session'], slow: 'with a session'
  },
  'express-session': {
    title: 'Express + express-session (memory)',
    framework: 'express',
    keeps: 'the session in memory',
    packages: ['express', 'express-session'],
    slow: 'always'
  },
  'cookie-session': {
    title: 'Express + cookie-session (signed only)',
    framework: 'express',
    keeps: 'the session in the cookie',
    packages: ['express', 'cookie-session'],
    slow: 'always'
  }
}

/** Those that keep the session on a server, at REDIS_URL or POSTGRES_URL: those of one server are compared with each other only. */
export const storePeers: Record<'Redis' | 'PostgreSQL', Record<string, Peer>> = {
  Redis: {
    'this-redis': {
      title: 'fastify-sealed-session + redisStore', framework: 'fastify', keeps: 'the session in Redis', packages: ['redis']
    },
    'session-connect-redis': {
      title: '@fastify/session + connect-redis', framework: 'fastify', keeps: 'the session in Redis', packages: ['@fastify/session', 'connect-redis']
    },
    'this-redis-again': {
      title: 'fastify-sealed-session + redisStore, again', framework: 'fastify', keeps: 'the session in Redis', packages: []
    },
    'this-redis-users': {
      title: 'fastify-sealed-session + redisStore, with userOf', framework: 'fastify', keeps: 'the session in Redis', packages: []
    },
    'this-ioredis': {
      title: 'fastify-sealed-session + redisStore on ioredis', framework: 'fastify', keeps: 'the session in Redis', packages: ['ioredis']
    },
    'this-connect-redis': {
      title: 'fastify-sealed-session + connect-redis', framework: 'fastify', keeps: 'the session in Redis', packages: []
    },
    'this-keyv': {
      title: 'fastify-sealed-session + Keyv', framework: 'fastify', keeps: 'the session in Redis', packages: ['keyv', '@keyv/redis']
    }
  },
  PostgreSQL: {
    'this-postgres': {
      title: 'fastify-sealed-session + postgresStore', framework: 'fastify', keeps: 'the session in PostgreSQL', packages: ['pg']
    },
    'session-connect-pg-simple': {
      title: '@fastify/session + connect-pg-simple', framework: 'fastify', keeps: 'the session in PostgreSQL', packages: ['connect-pg-simple']
    },
    'this-postgres-again': {
      title: 'fastify-sealed-session + postgresStore, again', framework: 'fastify', keeps: 'the session in PostgreSQL', packages: []
    },
    'this-postgres-users': {
      title: 'fastify-sealed-session + postgresStore, with userOf', framework: 'fastify', keeps: 'the session in PostgreSQL', packages: []
    }
  }
}

export const peerOf = (key: string): Peer => peers[key] ?? (storePeers.Redis[key] ?? storePeers.PostgreSQL[key])!

/** What every peer is given alike. */
export const secret = 'a benchmark secret of forty-two characters'
export const user = { id: 'u-1234567', name: 'Ada Lovelace' }
export type User = typeof user
export const cookieName = 'session'
/** The defaults of this package, for those whose defaults are others */
export const cookie = { path: '/', httpOnly: true, sameSite: 'lax', secure: false } as const
/** Seconds */
export const maxAge = 1_209_600
/** A cookie's value of the size that this package's is, for peers that have no session */
export const value = 'x'.repeat(357)

/** What a run may change about a peer. */
export interface Variation {
  /** Of JSON in a session; default as few as its user and a counter are */
  bytes?: number
  /** How many secrets this package is given; default 1 */
  secrets?: number
  /** How many cookies this package may remember; default its own */
  cacheSize?: number
  /** How many processes answer behind one port; default one, without node:cluster */
  workers?: number
  /** Whether it speaks HTTP/2, without TLS */
  http2?: boolean
}

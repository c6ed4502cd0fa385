import t from 'tap'
import { createSealer } from '../lib/index.js'
import type { SessionOptions } from '../lib/index.js'
import { parseSessionOptions } from '../lib/options/options.js'
import { secret } from './fixtures/app.js'

function messageFor (options: object): string {
  try {
    parseSessionOptions({ secret, ...options } as SessionOptions)
    return 'accepted'
  } catch (error) {
    return (error as Error).message
  }
}

t.test('the options of other session packages are answered with ours', async t => {
  const packages: Record<string, Record<string, RegExp>> = {
    '@fastify/secure-session': { key: /Use secret$/, salt: /Leave it out/, expiry: /Use idleTimeout, in seconds$/ },
    '@fastify/session': { saveUninitialized: /Leave it out/, idGenerator: /Leave it out/, cookiePrefix: /Leave it out/, algorithm: /Use iron/ },
    'express-session': {
      genid: /Leave it out/, name: /Use cookieName/, proxy: /trustProxy/, resave: /Leave it out/, saveUninitialized: /Leave it out/, unset: /destroy\(\)/
    },
    'iron-session': { password: /Use secret$/, ttl: /Use idleTimeout/, cookieOptions: /Use cookie$/, chunk: /Use maxCookies/, onUnsealError: /info\.reason/ },
    'cookie-session': {
      keys: /array with the newest secret first/,
      maxAge: /Use idleTimeout, in seconds/,
      expires: /Use idleTimeout/,
      path: /Use cookie: \{ path \}/,
      sameSite: /Use cookie: \{ sameSite \}/,
      httpOnly: /Use cookie: \{ httpOnly \}/,
      secureProxy: /trustProxy/,
      signed: /Leave it out/,
      overwrite: /Leave it out/
    },
    h3: { seal: /Use iron/, crypto: /Use iron/, sessionHeader: /cookies only/, generateId: /Leave it out/, legacySealFallback: /Use interop/ },
    Starlette: { secret_key: /Use secret$/, session_cookie: /Use cookieName/, max_age: /Use idleTimeout/, same_site: /sameSite/, https_only: /cookie: \{ secure \}/ }
  }
  for (const [name, options] of Object.entries(packages)) {
    for (const [option, advice] of Object.entries(options)) {
      const message = messageFor({ [option]: 'x' })
      t.match(message, advice, `${name}: ${option}`)
      t.ok(message.startsWith(`Option "${option}" is unknown. `), message)
    }
  }
})

t.test('a typo is answered with the nearest name, in groups too', async t => {
  const typos: Array<[options: object, message: string]> = [
    [{ idletimeout: 5 }, 'Option "idletimeout" is unknown. Did you mean idleTimeout?'],
    [{ idleTimeuot: 5 }, 'Option "idleTimeuot" is unknown. Did you mean idleTimeout?'],
    [{ cokie: {} }, 'Option "cokie" is unknown. Did you mean cookie?'],
    [{ sesionNam: 'x' }, 'Option "sesionNam" is unknown. Did you mean sessionName?'],
    [{ cookie: { samesite: 'lax' } }, 'Option "cookie.samesite" is unknown. Did you mean sameSite?'],
    [{ cookie: { signed: true } }, 'Option "cookie.signed" is unknown. Leave it out: every cookie is sealed, which includes a signature'],
    [{ secret: [secret, { id: 'a', password: secret }] }, 'Option "secret[1].password" is unknown. Use secret, or encryption and integrity'],
    [{ iron: { encryption: { iteration: 5 } } }, 'Option "iron.encryption.iteration" is unknown. Did you mean iterations?']
  ]
  for (const [options, message] of typos) t.equal(messageFor(options), message)
})

t.test('a name like no other is answered with the names that there are', async t => {
  for (const name of ['zzz', 'ab', 'x'.repeat(100_000), '__proto__', 'constructor', 'toString', 'hasOwnProperty', '']) {
    const options: object = JSON.parse(JSON.stringify({ secret: 0 }).replace('0', JSON.stringify(secret)).replace('{', `{${JSON.stringify(name)}:1,`)) as object
    let message = 'accepted'
    try { parseSessionOptions(options as SessionOptions) } catch (error) { message = (error as Error).message }
    t.ok(message.endsWith(' is unknown. The known names are secret, sessionName, idleTimeout, absoluteTimeout, interop, iron, schema, ' +
      'cacheSize, cookieName, cookie, rolling, persistent, maxCookies, cacheHeaders, store, storage, storeTimeout, isRevoked, ' +
        'userOf, maxSessions, deviceBound'), message.slice(-300))
  }
  t.throws(() => createSealer({ secret, ttl: 5 } as never), { code: 'FST_SESSION_INVALID_OPTION', message: /Use idleTimeout/ })
})

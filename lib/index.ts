import type Types = require('../types/index.js')
import './guard.js'
import { errors } from './errors.js'
import { getSession } from './guard.js'
import { sessionPlugin } from './plugin.js'
import { createSealer } from './seal/sealer.js'
import { denylist } from './store/denylist.js'
import { fromExpressStore } from './store/express-store.js'

// The package is CommonJS, and the plugin is what `require` returns, as with every @fastify/* plugin. Its types are written by
// hand; the compiler holds the code against them here.
({ createSealer, denylist, errors, fromExpressStore, getSession }) satisfies Omit<typeof Types, 'default' | 'sessionPlugin'>
sessionPlugin satisfies (...args: Parameters<typeof Types>) => ReturnType<typeof Types>

// Each name has a line of its own, because that is the form in which Node finds the named exports for `import { … }`.
module.exports = sessionPlugin
module.exports.default = sessionPlugin
module.exports.sessionPlugin = sessionPlugin
module.exports.createSealer = createSealer
module.exports.denylist = denylist
module.exports.errors = errors
module.exports.fromExpressStore = fromExpressStore
module.exports.getSession = getSession

export = Types

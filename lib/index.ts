import type Types = require('../types/index.js')
import './guard.js'
import { errors } from './errors.js'
import { getSession } from './guard.js'
import { sessionPlugin } from './plugin.js'
import { createSealer } from './seal/sealer.js'
import { denylist } from './store/denylist.js'
import { fromExpressStore } from './store/express-store.js'

// The package is CommonJS and `require` returns the plugin, as with every @fastify/* plugin. The types are written by hand; here the
// compiler checks the code against them.
({ createSealer, denylist, errors, fromExpressStore, getSession }) satisfies Omit<typeof Types, 'default' | 'sessionPlugin'>
sessionPlugin satisfies (...args: Parameters<typeof Types>) => ReturnType<typeof Types>

// One assignment per name: only in this form does Node detect the named exports for `import { … }`.
module.exports = sessionPlugin
module.exports.default = sessionPlugin
module.exports.sessionPlugin = sessionPlugin
module.exports.createSealer = createSealer
module.exports.denylist = denylist
module.exports.errors = errors
module.exports.fromExpressStore = fromExpressStore
module.exports.getSession = getSession

export = Types

import './guard.js'

export type * from '../types/index.js'
export { errors } from './errors.js'
export { getSession } from './guard.js'
export { sessionPlugin, sessionPlugin as default } from './plugin.js'
export { createSealer } from './seal/sealer.js'
export { denylist } from './store/denylist.js'
export { fromExpressStore } from './store/express-store.js'

import { register } from 'node:module'

register('./commonjs.mjs', import.meta.url)

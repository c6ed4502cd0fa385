import { readdirSync } from 'node:fs'

// Whatever a test runs, what has to be covered is lib: not the build that the example imports.
const files = readdirSync(new URL('../lib', import.meta.url)).map(name => `lib/${name}`)

export default () => files

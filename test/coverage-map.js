import { readdirSync } from 'node:fs'

// Whatever a test runs, what has to be covered is all of lib: not the build that the examples import.
const files = readdirSync(new URL('../lib', import.meta.url), { recursive: true })
  .filter(name => name.endsWith('.ts'))
  .map(name => `lib/${name}`)

export default () => files

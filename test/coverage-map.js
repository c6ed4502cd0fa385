import { readdirSync } from 'node:fs'

// All of lib must be covered, whichever files a test loads. The build, which the examples import, does not count.
const files = readdirSync(new URL('../lib', import.meta.url), { recursive: true })
  .filter(name => name.endsWith('.ts'))
  .map(name => `lib/${name}`)

export default () => files

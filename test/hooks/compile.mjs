import { readdirSync } from 'node:fs'
import { compileOnce } from './typescript.mjs'

// Compiles everything that the tests load, so that none of their processes has to load the compiler.

const root = new URL('../../', import.meta.url)

for (const folder of ['lib/', 'test/', 'examples/']) {
  const names = readdirSync(new URL(folder, root), { recursive: true }).filter(name => /(?<!\.d)\.m?ts$/.test(name) && !name.startsWith('consumers'))
  for (const name of names) await compileOnce(new URL(folder + name, root).href)
}

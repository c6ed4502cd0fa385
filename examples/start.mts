import { existsSync, readdirSync } from 'node:fs'

// `npm start -- <name>` starts the example in the folder of that name, and `npm start` the login example.

const here = new URL('.', import.meta.url)
const names = readdirSync(here).filter(name => existsSync(new URL(`${name}/server.mjs`, here)))

const [name = 'login', ...others] = process.argv.slice(2)
if (names.includes(name) && others.length === 0) {
  await import(`./${name}/server.mjs`)
} else {
  const typed = [name, ...others].join(' ')
  console.error(`There is no example named "${typed}". Start one of these:`)
  for (const each of names) console.error(`  npm start -- ${each}`)
  process.exitCode = 1
}

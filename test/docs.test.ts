import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'
import t from 'tap'
import { errors } from '../lib/index.js'
import { reservedKeys } from '../lib/json.js'
import { PLUGIN_NAMES } from '../lib/options/options.js'
import { onRejection } from '../lib/session/policy.js'
import { anchorsOf, linksOf, readPage, readPages, root, rowsOf } from './fixtures/pages.js'

const pages = readPages()

t.test('every link leads to a file, and to a heading of it', async t => {
  for (const page of pages) {
    for (const link of linksOf(page)) {
      const [file, anchor] = link.split('#') as [string, string | undefined]
      const path = file === '' ? page.path : normalize(join(dirname(page.path), file))
      t.ok(existsSync(join(root, path)), `${page.path}: ${link}`)
      if (anchor !== undefined && existsSync(join(root, path))) t.ok(anchorsOf(readPage(path)).includes(anchor), `${page.path}: ${link}`)
    }
  }
})

t.test('the index leads to every page', async t => {
  const index = linksOf(readPage('docs/README.md')).map(link => normalize(join('docs', link)))
  for (const { path } of pages.filter(({ path }) => /^docs\/[^/]*\.md$/.test(path) && !/README|migrating/.test(path))) {
    t.ok(index.includes(path), path)
  }
})

t.test('every option, member, error and reason is in the table of its page', async t => {
  const types = readFileSync(join(root, 'types/index.d.ts'), 'utf8')
  const list = types.slice(types.indexOf('Why a session started empty'), types.indexOf('export type SessionReason'))
  const reasons = [...list.matchAll(/^ +\* - `([\w-]+)`:/gm)].map(([, reason]) => reason!)
  t.same(reasons.sort(), Object.keys(onRejection).sort())
  const complete: Array<[page: string, names: readonly string[]]> = [
    ['docs/options.md', PLUGIN_NAMES], ['docs/session.md', reservedKeys], ['docs/errors.md', [...Object.keys(errors), ...reasons]]
  ]
  for (const [path, names] of complete) {
    const rows = rowsOf(readPage(path))
    for (const name of names) t.ok(rows.some(row => new RegExp(`\`${name}\\b`).test(row)), `${path}: ${name}`)
  }
})

t.test('the table of errors has their statuses, and that of reasons what becomes of the cookie', async t => {
  const { text } = readPage('docs/errors.md')
  for (const [code, SessionError] of Object.entries(errors)) {
    const { statusCode } = new (SessionError as unknown as new () => Error & { statusCode: number })()
    t.match(text, `| \`${code}\` | ${statusCode}`)
  }
  for (const [reason, what] of Object.entries(onRejection)) {
    if (reason !== 'absent') t.match(text, new RegExp(`^\\| \`${reason}\` \\|.*\\| ${what === 'clear' ? 'cleared' : 'left alone'} \\|$`, 'm'))
  }
})

t.test('the log lines on the page are those of the code', async t => {
  const files = readdirSync(join(root, 'lib'), { recursive: true, encoding: 'utf8' }).filter(path => path.endsWith('.ts'))
  const code = files.map(path => readFileSync(join(root, 'lib', path), 'utf8')).join('\n')
  const lines = [...readPage('docs/errors.md').text.matchAll(/^\| (?:debug|warn|error) \| `([^`]+)`/gm)].map(([, line]) => line!)
  t.ok(lines.length >= 5)
  for (const line of lines) t.ok(code.includes(line), line)
})

t.test('every script that a page names is one of package.json', async t => {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { scripts: Record<string, string> }
  for (const { path, text } of pages) {
    for (const [, name] of text.matchAll(/npm run ([\w:]+)/g)) t.ok(name! in scripts, `${path}: npm run ${name}`)
  }
})

t.test('each promise of SECURITY.md names tests that exist', async t => {
  const rows = readPage('SECURITY.md').text.split('\n').filter(line => line.startsWith('| **'))
  t.ok(rows.length > 12)
  for (const row of rows) {
    const tests = [...row.split(' | ').at(-1)!.matchAll(/`(test\/[\w/-]+\.test\.ts)`/g)].map(([, path]) => path!)
    t.ok(tests.length > 0 && tests.every(path => existsSync(join(root, path))), row)
  }
})

t.test('CONTRIBUTING.md names every file and folder of lib', async t => {
  const { text } = readPage('CONTRIBUTING.md')
  for (const path of readdirSync(join(root, 'lib'))) t.match(text, path.endsWith('.ts') ? new RegExp(`[ ,] ${path}[ ,]`) : `  ${path}/ `)
})

import { execFileSync } from 'node:child_process'
import { resolve } from 'node:path'
import t from 'tap'

const root = resolve(import.meta.dirname, '../..')

/** Runs tstyche. It cannot use TypeScript 7, which test/slow/package.test.ts tests instead. */
function tstyche (...args: string[]): { passed: boolean, output: string } {
  const env = { ...process.env, TSTYCHE_NO_COLOR: 'true', TSTYCHE_NO_INTERACTIVE: 'true' }
  const bin = resolve(root, 'node_modules', '.bin', 'tstyche')
  try {
    // Without NODE_OPTIONS, by which tap loads its hooks into every Node child process.
    return { passed: true, output: execFileSync('env', ['-u', 'NODE_OPTIONS', bin, ...args], { cwd: root, encoding: 'utf8', env }) }
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string, stderr: string }
    return { passed: false, output: `${stdout}${stderr}` }
  }
}

for (const version of ['6.0', '5.9']) {
  // The version that the project uses is installed; others come from the npm registry.
  const own = version === '6.0'
  const there = own || tstyche('--fetch', '--target', version).passed
  // CI must not skip anything.
  if (!there && process.env.CI) t.fail(`TypeScript ${version} must be there`)
  const skip = !there && 'tstyche cannot fetch it'

  t.test(`the type tests pass with TypeScript ${version}`, { skip, timeout: 0 }, async t => {
    const { passed, output } = tstyche(...own ? [] : ['--target', version])
    t.ok(passed, output)
    t.match(output, `uses TypeScript ${version}.`)
    for (const name of ['app', 'options', 'session']) t.match(output, `pass ./types/${name}.tst.ts`)
  })
}

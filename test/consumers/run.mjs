// Every kind of consumer of the packed tarball, each run for real: `npm run test:consumers`, or with a word of the titles after
// `--` for those alone. It needs the npm registry. docs/compatibility.md says what cannot work, and why.
import { execFileSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'

const root = resolve(import.meta.dirname, '../..')
const apps = join(import.meta.dirname, 'apps')
const wanted = process.argv[2]
const work = mkdtempSync(join(tmpdir(), 'consumers-'))
process.on('exit', () => { rmSync(work, { recursive: true, force: true }) })

/** Runs a command to its end, and gives what it has written; with its error output where it fails. */
function run (cwd, command, args, { node, env } = {}) {
  const path = node === undefined ? process.env.PATH : dirname(node) + delimiter + process.env.PATH
  try {
    return execFileSync(command, args, {
      cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'], timeout: 180_000, env: { ...process.env, NODE_OPTIONS: '', PATH: path, ...env }
    })
  } catch (error) {
    throw new Error(`${command} ${args.join(' ')}\n${error.stdout ?? ''}${error.stderr ?? ''}${error.code ?? ''}`)
  }
}

const nodes = new Map()
/** The path of a version of Node, from the npm registry. */
function nodeOf (version) {
  if (!nodes.has(version)) nodes.set(version, run(work, 'npx', ['-y', '--prefer-offline', '-p', `node@${version}`, '-c', 'command -v node']).trim())
  return nodes.get(version)
}

run(root, 'npm', ['pack', '--ignore-scripts', '--pack-destination', work])
const tarball = join(work, readdirSync(work).find(name => name.endsWith('.tgz')))
const typescripts = ['5.9', '6', '7']

/** What is installed together: a folder with the apps and the packages of a group, made when its first row is run. */
const folders = new Map()
function install (group, packages, fastify = 'fastify@5') {
  if (!folders.has(group)) {
    const folder = join(work, group)
    cpSync(apps, folder, { recursive: true })
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ name: group, private: true }))
    run(folder, 'npm', ['install', '--no-audit', '--no-fund', '--prefer-offline', '--loglevel=error', tarball, fastify, ...packages])
    folders.set(group, folder)
  }
  return folders.get(group)
}
const plain = () => install('plain', [])
const tools = () => install('tools', [
  'jest@30', 'vitest@4', 'tsx@4', 'ts-node@10', 'esbuild', 'rollup@4', '@rollup/plugin-node-resolve', '@rollup/plugin-commonjs',
  '@rollup/plugin-json', 'webpack@5', 'webpack-cli', 'tsup@8', '@types/node@20', ...typescripts.map(version => `typescript-${version}@npm:typescript@${version}`), 'typescript@5.9'
])
// NestJS depends on one exact version of Fastify. The app must have the same, or `request.session` is declared for another copy.
const nest = () => install('nest', [
  '@nestjs/common@11', '@nestjs/core@11', '@nestjs/platform-fastify@11', 'reflect-metadata', 'rxjs', 'typescript@5.9', '@types/node@20'
], `fastify@${[JSON.parse(run(work, 'npm', ['view', '@nestjs/platform-fastify@11', 'dependencies.fastify', '--json']))].flat().at(-1)}`)
const frameworks = () => install('frameworks', [
  'typescript@5.9', '@types/node@20',
  '@fastify/autoload@6', 'mercurius@16', 'graphql@16', '@fastify/aws-lambda', '@fastify/middie@9', '@fastify/sensible', 'fastify-plugin', 'fastify-cli', 'fastify-tsconfig'
])
const bin = (folder, name) => join(folder, 'node_modules', '.bin', name)
const worked = output => {
  if (!output.includes('it works')) throw new Error(output)
}

const rows = []
const row = (title, check) => { rows.push({ title, check }) }

for (const version of ['20', '22', '24', '26']) {
  for (const flags of [[], ['--no-experimental-require-module']]) {
    for (const file of ['import.mjs', 'require.cjs']) {
      row(`Node ${version}, ${file.split('.')[0]}${flags.length > 0 ? ', --no-experimental-require-module' : ''}`, () => {
        worked(run(plain(), nodeOf(version), [...flags, file]))
      })
    }
  }
  row(`node:test on Node ${version}`, () => { run(plain(), nodeOf(version), ['--test', 'node.test.mjs']) })
}

// @fastify/cookie 11.1.1 and later import an ES module when it is registered, which needs a flag in these, or an older version.
const older = () => install('older', ['@fastify/cookie@10.0.0', 'jest@30', 'vitest@4'])
const modules = { env: { NODE_OPTIONS: '--experimental-vm-modules' } }
const jest = (folder, files, options) => { run(folder, bin(folder, 'jest'), ['--rootDir=jest', '--runInBand', `--testMatch=**/${files}`], options) }

row('@fastify/cookie 10.0', () => {
  for (const file of ['import.mjs', 'require.cjs']) worked(run(older(), process.execPath, [file]))
})
row('Jest, CommonJS, @fastify/cookie 10.0', () => { jest(older(), '[abc].test.cjs') })
row('Jest, CommonJS, --experimental-vm-modules', () => { jest(tools(), '[abc].test.cjs', modules) })
row('Jest, ES modules, --experimental-vm-modules', () => { jest(tools(), 'd.test.mjs', modules) })
for (const pool of ['forks', 'threads']) {
  row(`vitest, ${pool}`, () => { run(tools(), bin(tools(), 'vitest'), ['run', `--pool=${pool}`, '--dir=vitest']) })
}
row('vitest, vmThreads, @fastify/cookie 10.0', () => { run(older(), bin(older(), 'vitest'), ['run', '--pool=vmThreads', 'vitest/a.test.mjs']) })
row('tsx', () => {
  worked(run(tools(), bin(tools(), 'tsx'), ['typescript/app.mts']))
  worked(run(tools(), bin(tools(), 'tsx'), ['typescript/plain.ts']))
})
row('ts-node', () => {
  const compiler = JSON.stringify({ module: 'nodenext', moduleResolution: 'nodenext', target: 'es2022', strict: true, esModuleInterop: true })
  worked(run(tools(), bin(tools(), 'ts-node'), ['-O', compiler, 'typescript/plain.ts']))
})
row('ts-node/esm', () => {
  const folder = tools()
  mkdirSync(join(folder, 'esm'), { recursive: true })
  cpSync(join(folder, 'typescript/plain.ts'), join(folder, 'esm/plain.ts'))
  writeFileSync(join(folder, 'esm/package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'esm/tsconfig.json'), JSON.stringify({ compilerOptions: { module: 'nodenext', target: 'es2022', strict: true, esModuleInterop: true } }))
  worked(run(join(folder, 'esm'), nodeOf('20'), ['--no-warnings', '--loader', 'ts-node/esm', 'plain.ts']))
})

/** Runs bundles where there are no packages. */
function bundled (folder, ...outputs) {
  const alone = mkdtempSync(join(work, 'alone-'))
  for (const output of outputs) {
    cpSync(join(folder, output), join(alone, output), { recursive: true })
    worked(run(alone, process.execPath, [output === 'rollup' ? 'rollup/import.mjs' : output]))
  }
}
row('esbuild, bundled', () => {
  const folder = tools()
  const banner = "--banner:js=import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);"
  run(folder, bin(folder, 'esbuild'), ['require.cjs', '--bundle', '--platform=node', '--outfile=esbuild.cjs'])
  run(folder, bin(folder, 'esbuild'), ['import.mjs', '--bundle', '--platform=node', '--format=esm', banner, '--outfile=esbuild.mjs'])
  bundled(folder, 'esbuild.cjs', 'esbuild.mjs')
})
row('rollup, bundled', () => {
  const folder = tools()
  const plugins = ['-p', 'node-resolve={preferBuiltins:true,exportConditions:["node"]}', '-p', 'commonjs={ignoreDynamicRequires:true,strictRequires:true}', '-p', 'json']
  run(folder, bin(folder, 'rollup'), ['import.mjs', '--format=es', '--dir=rollup', '--entryFileNames=[name].mjs', '--chunkFileNames=[name].mjs', '--silent', ...plugins])
  bundled(folder, 'rollup')
})
row('webpack, bundled', () => {
  const folder = tools()
  for (const [entry, output] of [['require.cjs', 'webpack.cjs'], ['import.mjs', 'webpack-esm.cjs']]) {
    run(folder, bin(folder, 'webpack'), ['--entry', `./${entry}`, '--mode=production', '--target=node20', '-o', '.', '--output-filename', output, '--no-devtool', '--output-chunk-filename', `${output}.[id].js`])
  }
  const alone = mkdtempSync(join(work, 'alone-'))
  for (const name of readdirSync(folder).filter(name => name.startsWith('webpack'))) cpSync(join(folder, name), join(alone, name))
  for (const output of ['webpack.cjs', 'webpack-esm.cjs']) worked(run(alone, process.execPath, [output]))
})
row('tsup, packages left out', () => {
  const folder = tools()
  run(folder, bin(folder, 'tsup'), ['typescript/plain.ts', '--format', 'cjs,esm', '--out-dir', 'tsup', '--no-config'])
  for (const name of ['plain.js', 'plain.mjs']) worked(run(folder, process.execPath, [join('tsup', name)]))
})

const strict = ['--strict', '--target', 'es2022', '--types', 'node', '--skipLibCheck', '--esModuleInterop']
const three = ['typescript/app.mts', 'typescript/data.cts', 'typescript/helper.cts', 'typescript/plain.ts']
for (const version of typescripts) {
  const compile = (options, files) => {
    const out = `out-${version}`
    rmSync(join(tools(), out), { recursive: true, force: true })
    run(tools(), process.execPath, [join(tools(), 'node_modules', `typescript-${version}`, 'bin', 'tsc'), ...strict, ...options, '--rootDir', 'typescript', '--outDir', out, ...files])
    for (const name of ['app.mjs', 'plain.js']) {
      if (existsSync(join(tools(), out, name))) worked(run(tools(), process.execPath, [join(out, name)]))
    }
  }
  for (const module of ['nodenext', 'node16']) {
    row(`TypeScript ${version}, ${module}: ESM, CommonJS and both in one program`, () => { compile(['--module', module], three) })
  }
  row(`TypeScript ${version}, bundler`, () => { compile(['--module', 'preserve', '--moduleResolution', 'bundler', '--noEmit'], three) })
  if (version === '7') continue
  const deprecated = version === '6' ? ['--ignoreDeprecations', '6.0'] : []
  row(`TypeScript ${version}, node10`, () => { compile(['--module', 'commonjs', '--moduleResolution', 'node10', ...deprecated], ['typescript/plain.ts']) })
}

row('NestJS 11 on FastifyAdapter', () => {
  const folder = nest()
  run(folder, bin(folder, 'tsc'), [...strict, '--module', 'nodenext', '--experimentalDecorators', '--emitDecoratorMetadata', '--outDir', 'nest', 'nest/main.ts'])
  worked(run(folder, process.execPath, ['nest/main.js']))
})
for (const [title, file] of [['@fastify/autoload', 'autoload.mjs'], ['mercurius', 'mercurius.mjs'], ['@fastify/aws-lambda', 'lambda.cjs'], ['@fastify/middie', 'middie.mjs']]) {
  row(title, () => { worked(run(frameworks(), process.execPath, [join('ecosystem', file)])) })
}
row("fastify-cli's TypeScript template", () => {
  const folder = frameworks()
  run(folder, bin(folder, 'fastify'), ['generate', 'template', '--lang=ts'])
  const template = join(folder, 'template')
  writeFileSync(join(template, 'src/plugins/session.ts'), `
    import fp from 'fastify-plugin'
    import sessionPlugin, { type SessionOptions } from 'fastify-sealed-session'
    declare module 'fastify-sealed-session' { interface SessionData { views?: number } }
    export default fp<SessionOptions>(async app => {
      await app.register(sessionPlugin, { secret: 'a secret of an app that uses the package' })
    })`)
  writeFileSync(join(template, 'src/routes/root.ts'), `
    import { type FastifyPluginAsync } from 'fastify'
    const root: FastifyPluginAsync = async app => {
      app.get('/', async request => ({ views: request.session.views = (request.session.views ?? 0) + 1 }))
    }
    export default root`)
  run(template, bin(folder, 'tsc'), [])
  writeFileSync(join(template, 'main.cjs'), `
    const app = require('fastify')()
    app.register(require('./dist/app.js').default ?? require('./dist/app.js'))
    app.ready().then(async () => {
      const first = await app.inject('/')
      const { body } = await app.inject({ url: '/', headers: { cookie: first.headers['set-cookie'] } })
      console.log(body === '{"views":2}' ? 'it works' : body)
    })`)
  worked(run(template, process.execPath, ['main.cjs']))
})

/** A workspace of two packages, of which one uses the package. */
function workspace (name, files) {
  const folder = join(work, name)
  const app = join(folder, 'packages', 'app')
  mkdirSync(app, { recursive: true })
  cpSync(apps, app, { recursive: true })
  writeFileSync(join(app, 'package.json'), JSON.stringify({ name: 'app', private: true, dependencies: { fastify: '5', 'fastify-sealed-session': `file:${tarball}` } }))
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ name, private: true, workspaces: ['packages/*'] }))
  for (const [file, text] of Object.entries(files)) writeFileSync(join(folder, file), text)
  return [folder, app]
}
for (const hoist of [true, false]) {
  row(`pnpm workspace, hoist: ${hoist}`, () => {
    const [folder, app] = workspace(`pnpm-${hoist}`, { 'pnpm-workspace.yaml': `packages: ['packages/*']\nhoist: ${hoist}\nstoreDir: ${join(work, 'pnpm-store')}\n` })
    run(folder, 'npx', ['-y', '--prefer-offline', 'pnpm@10', 'install', '--no-frozen-lockfile'])
    for (const file of ['import.mjs', 'require.cjs']) worked(run(app, process.execPath, [file]))
  })
}
row("Yarn Plug'n'Play", () => {
  const settings = `nodeLinker: pnp\nenableTelemetry: false\nenableGlobalCache: false\ncacheFolder: ${join(work, 'yarn')}\nenableImmutableInstalls: false\n`
  const [folder, app] = workspace('yarn', { '.yarnrc.yml': settings, 'yarn.lock': '' })
  const yarn = ['-y', '--prefer-offline', '-p', '@yarnpkg/cli-dist@4', 'yarn']
  run(folder, 'npx', [...yarn, 'install'], { env: { YARN_ENABLE_GLOBAL_CACHE: '0' } })
  const [cjs, loader] = [join(folder, '.pnp.cjs'), join(folder, '.pnp.loader.mjs')]
  for (const version of ['20', '24']) {
    for (const file of ['import.mjs', 'require.cjs']) {
      worked(run(app, nodeOf(version), ['--no-warnings', '--require', cjs, '--experimental-loader', loader, file]))
    }
  }
})

/** A runtime that the npm registry has as a package. */
function runtime (name, args) {
  const path = run(work, 'npx', ['-y', '--prefer-offline', '-p', name, '-c', `command -v ${name}`]).trim()
  for (const file of ['import.mjs', 'require.cjs']) worked(run(plain(), path, [...args, file]))
}
row('Bun', () => { runtime('bun', ['run']) })
row('Deno', () => { runtime('deno', ['run', '-A', '--node-modules-dir=manual', '--no-lock']) })

let failed = 0
const seconds = since => ((performance.now() - since) / 1000).toFixed(1).padStart(5)
const start = performance.now()
for (const { title, check } of rows) {
  if (wanted !== undefined && !title.toLowerCase().includes(wanted.toLowerCase())) continue
  const since = performance.now()
  try {
    check()
    console.log(`ok     ${seconds(since)} s  ${title}`)
  } catch (error) {
    failed++
    console.log(`not ok ${seconds(since)} s  ${title}\n${error.message.replace(/^/gm, '    ')}`)
  }
}
console.log(`${failed} failed, ${seconds(start).trim()} s`)
process.exitCode = failed === 0 ? 0 : 1

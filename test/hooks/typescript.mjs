import { createHash } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'

// Node's module hooks that run TypeScript. Each test file runs in its own process, and loading a compiler and compiling all of lib in
// each of them takes longer than most tests. So the output of the compiler is cached until the file changes.

const root = new URL('../../', import.meta.url)
const lib = new URL('lib/', root).href
const cache = new URL('node_modules/.cache/fastify-sealed-session/', root)
const readConfig = () => readFileSync(new URL('tsconfig.json', root), 'utf8')
/** What the output depends on, apart from the source. */
const tools = [readFileSync(new URL(import.meta.url)), readConfig(), readFileSync(new URL('node_modules/typescript/package.json', root))].join()

const isOurs = url => url !== undefined && url.startsWith(root.href) && !url.includes('/node_modules/')

/** Imports name the file that a build would write: `./plugin.js` is plugin.ts. */
export async function resolve (specifier, context, nextResolve) {
  if (specifier.startsWith('.') && isOurs(context.parentURL)) {
    const source = specifier.replace(/\.(m?)js$/, '.$1ts')
    if (source !== specifier && existsSync(new URL(source, context.parentURL))) return await nextResolve(source, context)
  }
  return await nextResolve(specifier, context)
}

export async function load (url, context, nextLoad) {
  if (!isOurs(url) || !/\.m?ts$/.test(url)) return await nextLoad(url, context)
  // The next hooks are tap's. One notes which files a test has loaded; in a process that a test starts, another may compile them.
  const [compiled] = await Promise.all([compileOnce(url), nextLoad(url, { ...context, format: 'module' })])
  return { ...compiled, shortCircuit: true }
}

/** What Node is to run for a source file, from the cache if possible. */
export async function compileOnce (url) {
  const source = await readFile(new URL(url), 'utf8')
  // The tests and the examples are ES modules, lib is CommonJS.
  const format = url.startsWith(lib) ? 'commonjs' : 'module'
  const hash = createHash('sha256').update(tools).update(url).update(source).digest('hex')
  const file = new URL(url.slice(root.href.length).replaceAll('/', '+') + '.json', cache)
  const cached = JSON.parse(await readFile(file, 'utf8').catch(() => 'null'))
  if (cached?.hash === hash) return { format, source: cached.code }
  const code = await compile(url, source, format)
  await mkdir(cache, { recursive: true })
  // Another process may be reading the file, so replace it in one step.
  const written = fileURLToPath(file) + `.${process.pid}`
  await writeFile(written, JSON.stringify({ hash, code }))
  await rename(written, file)
  return { format, source: code }
}

async function compile (url, source, format) {
  const { default: ts } = await import('typescript')
  const { outputText, sourceMapText } = ts.transpileModule(source, {
    // The extension selects CommonJS or ES modules, as transpileModule() does not read package.json.
    fileName: format === 'commonjs' ? 'module.cts' : 'module.mts',
    compilerOptions: { ...ts.parseConfigFileTextToJson('tsconfig.json', readConfig()).config.compilerOptions, ...options(ts) }
  })
  const map = { ...JSON.parse(sourceMapText), sources: [url], sourcesContent: [source] }
  // Node resolves require() without these hooks, so it needs the name of the source.
  const code = format === 'commonjs' ? outputText.replaceAll(/require\("(\.[^"]+)\.js"\)/g, 'require("$1.ts")') : outputText
  const inline = Buffer.from(JSON.stringify(map)).toString('base64')
  return code.replace(/\/\/# sourceMappingURL=.*\s*$/, `//# sourceMappingURL=data:application/json;base64,${inline}\n`)
}

/** transpileModule() takes the compiler's own values for what tsconfig.json has as text. */
const options = ts => ({ noEmit: false, sourceMap: true, target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext })

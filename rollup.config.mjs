import { readFileSync } from 'node:fs'
import { dirname, isAbsolute, resolve } from 'node:path'
import ts from 'typescript'

const { exports, bin } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8'))

/** Each file of dist that package.json names is built of the file of lib with its name. */
const built = [...Object.values(exports), ...Object.values(bin)]
  .map(target => target.default ?? target)
  .flatMap(path => /^(?:\.\/)?dist\/(.+)\.js$/.exec(path)?.[1] ?? [])

/** Type-checking is done by `tsc`; this only strips the types. */
const typescript = {
  name: 'typescript',
  resolveId: (id, importer) => importer !== undefined && id.startsWith('.')
    ? resolve(dirname(importer), id.replace(/\.js$/, '.ts'))
    : null,
  transform: (code, fileName) => ts.transpileModule(code, {
    fileName,
    compilerOptions: { target: ts.ScriptTarget.ES2023, module: ts.ModuleKind.Preserve, removeComments: true, verbatimModuleSyntax: false }
  }).outputText
}

const main = resolve('lib/index.ts')
let core

/**
 * All that the main entry loads is in one file beside it. The entry replaces `module.exports`, so nothing that a lazily loaded file
 * needs may live in the entry's own file.
 */
function chunkOf (id, { getModuleInfo }) {
  if (core === undefined) {
    core = new Set([main])
    for (const each of core) for (const next of getModuleInfo(each).importedIds) if (isAbsolute(next)) core.add(next)
  }
  return id !== main && core.has(id) ? 'core' : undefined
}

// Few files, because each one that is loaded takes a third of a millisecond. Not minified: names and lines of a stack trace are of use.
export default {
  input: Object.fromEntries(built.map(name => [name, `lib/${name}.ts`])),
  external: id => !isAbsolute(id) && !/^(\.|lib\/)/.test(id),
  plugins: [typescript],
  output: { dir: 'dist', format: 'cjs', exports: 'named', esModule: false, chunkFileNames: '[name].js', manualChunks: chunkOf, generatedCode: 'es2015' }
}

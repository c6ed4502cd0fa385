const lib = new URL('../../lib/', import.meta.url).href

/**
 * The tests are ES modules, and lib is CommonJS. Node looks for the names that a CommonJS module exports in the file itself, where
 * it does not understand TypeScript: so it is given what the file was compiled to.
 */
export async function load (url, context, nextLoad) {
  if (!url.startsWith(lib) || !url.endsWith('.ts')) return await nextLoad(url, context)
  const { source } = await nextLoad(url, { ...context, format: 'module' })
  return { format: 'commonjs', source: `${source}`.replaceAll(/require\("(\.[^"]+)\.js"\)/g, 'require("$1.ts")'), shortCircuit: true }
}

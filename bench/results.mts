import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { cpus } from 'node:os'

export const date = new Date().toISOString().slice(0, 10)

/** By its path: some packages do not export their package.json. */
function version (name: string): string {
  const url = new URL(`../../node_modules/${name}/package.json`, import.meta.url)
  return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version
}

/** Where and with what a run was made. */
export function setting (packages: Iterable<string>): string {
  const versions = [...new Set(packages)].map(name => `${name} ${version(name)}`)
  return `Node ${process.versions.node}, ${cpus()[0]!.model.trim()} (${cpus().length} cores), ${date}. ${versions.join(', ')}.`
}

export function table (head: readonly string[], lines: ReadonlyArray<readonly string[]>): string {
  return [head, head.map((_, at) => at === 0 ? '---' : '--:'), ...lines].map(cells => `| ${cells.join(' | ')} |`).join('\n')
}

/** Prints a result, and keeps it in `bench/results` where the run was a whole one. */
export function publish (name: string, text: string, svg: string, whole: boolean): void {
  console.log(text)
  // A part of the picture must not take the place of the whole.
  if (!whole) {
    console.error('Not written to bench/results: not a full run.')
    return
  }
  const folder = new URL('../../bench/results/', import.meta.url)
  const file = `${name}-node${process.versions.node.split('.')[0]}`
  mkdirSync(folder, { recursive: true })
  writeFileSync(new URL(`${file}.md`, folder), text)
  writeFileSync(new URL(`${file}.svg`, folder), svg)
}

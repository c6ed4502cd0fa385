import type { Idle } from '../lifetimes.js'

/** The part of a session that requests can change: its data as JSON, and its idle timeout. */
export interface Content {
  readonly text: string
  readonly idle: Idle
}

/** Applies our changes since `base` to their content. What we changed has our value, and everything else has theirs. */
export function mergeContent (base: Content, ours: Content, theirs: Content): Content {
  return {
    text: base.text === theirs.text ? ours.text : merge(base.text, ours.text, theirs.text),
    idle: ours.idle === base.idle ? theirs.idle : ours.idle
  }
}

/** Applies our changes since `base` to their data. A key that we changed has our value, and any other key has theirs. */
export function merge (base: string, ours: string, theirs: string): string {
  const [was, mine, merged] = [dictionary(base), dictionary(ours), dictionary(theirs)]
  for (const key of new Set([...Object.keys(was), ...Object.keys(mine)])) {
    if (JSON.stringify(was[key]) === JSON.stringify(mine[key])) continue
    if (key in mine) merged[key] = mine[key]
    else Reflect.deleteProperty(merged, key)
  }
  return JSON.stringify(merged)
}

/** Removes keys from data. */
export function without (text: string, keys: readonly string[]): string {
  const data = dictionary(text)
  for (const key of keys) Reflect.deleteProperty(data, key)
  return JSON.stringify(data)
}

// Without a prototype, so that __proto__ is an ordinary key.
function dictionary (text: string): Record<string, unknown> {
  return Object.assign(Object.create(null) as object, JSON.parse(text) as object) as Record<string, unknown>
}

import type { Idle } from '../lifetimes.js'

/** What requests change of a session: its data as JSON, and its idle timeout. */
export interface Content {
  readonly text: string
  readonly idle: Idle
}

/** Their content with our changes since `base`: what we changed is as we left it, all else as they left it. */
export function mergeContent (base: Content, ours: Content, theirs: Content): Content {
  return {
    text: base.text === theirs.text ? ours.text : merge(base.text, ours.text, theirs.text),
    idle: ours.idle === base.idle ? theirs.idle : ours.idle
  }
}

/** Their data with our changes: a key that we changed since `base` is as we left it, any other as they did. */
export function merge (base: string, ours: string, theirs: string): string {
  const [was, mine, merged] = [dictionary(base), dictionary(ours), dictionary(theirs)]
  for (const key of new Set([...Object.keys(was), ...Object.keys(mine)])) {
    if (JSON.stringify(was[key]) === JSON.stringify(mine[key])) continue
    if (key in mine) merged[key] = mine[key]
    else Reflect.deleteProperty(merged, key)
  }
  return JSON.stringify(merged)
}

/** The data without some of its keys. */
export function without (text: string, keys: readonly string[]): string {
  const data = dictionary(text)
  for (const key of keys) Reflect.deleteProperty(data, key)
  return JSON.stringify(data)
}

// Without a prototype, so that __proto__ is a key like any other.
function dictionary (text: string): Record<string, unknown> {
  return Object.assign(Object.create(null) as object, JSON.parse(text) as object) as Record<string, unknown>
}

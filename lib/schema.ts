import type { StandardSchema, StandardSchemaResult } from '../types/index.js'
import { refused } from './options/checks.js'

/**
 * What a schema makes of data (Standard Schema, version 1). What it throws is the app's own fault, and passes.
 * @throws FST_SESSION_INVALID_OPTION where it answers with a promise: the session is there at once, or not at all
 */
export function validate (schema: StandardSchema, data: object): StandardSchemaResult {
  const result = schema['~standard'].validate(data)
  if (!('then' in result)) return result
  result.then(undefined, () => {}) // whatever it is, its answer is of no use
  throw refused('schema', 'it answers with a promise. Leave asynchronous checks to a hook')
}

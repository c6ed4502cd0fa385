import type { StandardSchema, StandardSchemaResult } from '../types/index.js'
import { refused } from './options/checks.js'

/**
 * Validates data with a schema (Standard Schema, version 1). An error thrown by the schema is the app's own and is passed on.
 * @throws FST_SESSION_INVALID_OPTION if the schema returns a promise, because the session is loaded synchronously
 */
export function validate (schema: StandardSchema, data: object): StandardSchemaResult {
  const result = schema['~standard'].validate(data)
  if (!('then' in result)) return result
  result.then(undefined, () => {}) // its result is not used, so a rejection must not crash the process
  throw refused('schema', 'it returns a promise, and only synchronous schemas are supported. Move asynchronous checks to a hook')
}

/** A value, or a promise of it where it has to be waited for. */
export type MaybePromise<T> = T | Promise<T>

/**
 * Goes on with a value. What is there already is not waited for, so that one piece of code serves the synchronous and the
 * awaited way.
 */
export function then<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** Does work and goes on with its value, or with the error that it threw or rejected with. */
export function attempt<T, R> (
  work: () => MaybePromise<T>, next: (value: T) => R, failed: (error: unknown) => R
): MaybePromise<R> {
  let value: MaybePromise<T>
  try {
    value = work()
    if (!(value instanceof Promise)) return next(value)
  } catch (error) {
    return failed(error)
  }
  return value.then(next).catch(failed)
}

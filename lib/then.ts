/** A value, or a promise of it where something has to be awaited. */
export type MaybePromise<T> = T | Promise<T>

/**
 * Continues with a value. A value that is not a promise is passed on synchronously, so that the same code serves the synchronous and
 * the asynchronous path.
 */
export function then<T, R> (value: MaybePromise<T>, next: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return value instanceof Promise ? value.then(next) : next(value)
}

/** Runs `work` and continues with its value, or with the error that it threw or rejected with. */
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
  return attemptLater(value, next, failed)
}

async function attemptLater<T, R> (value: Promise<T>, next: (value: T) => R, failed: (error: unknown) => R): Promise<R> {
  try {
    return next(await value)
  } catch (error) {
    return failed(error)
  }
}

import type { FastifyRequest } from 'fastify'

/** Too many to be a coincidence: in a rolling deploy, or after a rotation, some cookies in between would open. */
const SUSPICIOUS = 20

/**
 * Notices that the wrong secret was deployed, because then every cookie is rejected as `unknown-key`. A cookie that opens resets the
 * count. The warning is logged once per registration.
 */
export class UnknownKeys {
  #inARow = 0

  opened (): void {
    if (this.#inARow < SUSPICIOUS) this.#inARow = 0
  }

  rejected (sessionName: string, { log }: FastifyRequest): void {
    if (this.#inARow === SUSPICIOUS || ++this.#inARow < SUSPICIOUS) return
    log.warn({ sessionName, reason: 'unknown-key' }, `${SUSPICIOUS} session cookies in a row were sealed with a secret that is not ` +
      'configured here. Is this the right secret? After a rotation, keep the older secret in the array until its sessions have expired')
  }
}

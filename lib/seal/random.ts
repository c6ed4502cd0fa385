import { randomFillSync } from 'node:crypto'

const BLOCK = 16
// One system call fills 256 blocks. No byte is handed out twice.
const pool = Buffer.allocUnsafeSlow(256 * BLOCK)
let used = pool.length

function nextBlock (): number {
  if (used === pool.length) {
    randomFillSync(pool)
    used = 0
  }
  used += BLOCK
  return used - BLOCK
}

/** Writes 16 bytes from the CSPRNG to the start of `target`. */
export function randomBlock (target: Buffer): void {
  const at = nextBlock()
  pool.copy(target, 0, at, at + BLOCK)
}

/** 128 bits from the CSPRNG as 22 characters of base64url (RFC 4648, section 5). */
export function randomId (): string {
  const at = nextBlock()
  return pool.toString('base64url', at, at + BLOCK)
}

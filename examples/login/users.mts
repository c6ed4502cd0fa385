import { randomBytes, scrypt, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify<string, Buffer, number, Buffer>(scrypt)

/** Demo users, who all have the password that the login page shows. A real app keeps its users in a database. */
const salt = randomBytes(16)
const demoHash = await derive('fastify', salt, 32)
const names = new Map([['ada', 'Ada'], ['grace', 'Grace'], ['linus', 'Linus']])

export async function checkPassword (name: string, password: string): Promise<{ id: string, name: string } | undefined> {
  const id = name.trim().toLowerCase()
  const given = await derive(password, salt, 32) // for unknown names too, so that the time tells nobody which names exist
  const known = names.get(id)
  return timingSafeEqual(given, demoHash) && known !== undefined ? { id, name: known } : undefined
}

import { createSealer } from 'fastify-sealed-session'
import { test } from 'vitest'
import { checkIron } from '../check.cjs'

test('iron', async () => { await checkIron(createSealer) })

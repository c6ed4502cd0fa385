import fc from 'fast-check'
import t from 'tap'
import { runs, times } from '../fixtures/fuzz.js'
import { usersHistories } from '../fixtures/overlap-users-history.js'
import { odds } from '../fixtures/overlap-users-odds.js'
import { UsersTheatre } from '../fixtures/overlap-users.js'
import type { UsersMode } from '../fixtures/overlap-users-world.js'

// The sessions of users that are logged in several times, listed and ended while requests overlap in any order of their steps
// and of the store's calls. A history says what happens and in which order; what every answer promised must hold in the end.

/** For each mode; fuzzing multiplies it */
const HISTORIES = times(1) === 1 ? 60 : 500

const store = (processes: 1 | 2, optional: UsersMode['optional'], maxSessions?: number): UsersMode => (
  { name: `store${optional.includes('replace') ? ' with replace' : ''}`, storage: 'store', optional, processes, ...maxSessions !== undefined && { maxSessions } }
)
const list = (processes: 1 | 2, ...optional: UsersMode['optional']): UsersMode => (
  { name: `denylist${optional.includes('getMany') ? ' with getMany' : ''}`, storage: 'cookie', optional, processes }
)

const modes = [
  store(1, []), store(1, ['replace']), store(2, []), store(2, ['replace']),
  store(1, ['replace'], 1), store(1, [], 2), store(2, ['replace'], 1), store(2, ['replace'], 2),
  list(1), list(1, 'getMany'), list(2, 'getMany')
]

for (const mode of modes) {
  const limit = mode.maxSessions === undefined ? '' : `, at most ${mode.maxSessions} a user`
  t.test(`${mode.name}${limit}, processes: ${mode.processes}: the sessions of a user end and are listed, however requests overlap`, { timeout: 0 }, async t => {
    const theatre = new UsersTheatre(mode)
    t.teardown(t.clock.enter())
    await fc.assert(fc.asyncProperty(usersHistories(mode.storage === 'store', mode.maxSessions !== undefined), async history => {
      await theatre.play(t.clock, history)
    }), runs(HISTORIES))
    t.pass()
  })
}

for (const { title, storage, maxSessions, history } of odds) {
  for (const processes of [1, 2] as const) {
    t.test(`${storage}, processes: ${processes}: ${title}`, async t => {
      t.teardown(t.clock.enter())
      const optional: UsersMode['optional'] = storage === 'store' ? ['replace'] : ['getMany']
      const theatre = new UsersTheatre({ name: title, storage, optional, processes, ...maxSessions !== undefined && { maxSessions } })
      await theatre.play(t.clock, history)
      t.pass()
    })
  }
}

import fc from 'fast-check'
import t from 'tap'
import { runs, times } from '../fixtures/fuzz.js'
import { histories, lastSteps, noisy } from '../fixtures/overlap-history.js'
import { Theatre } from '../fixtures/overlap.js'
import type { Mode } from '../fixtures/overlap-world.js'

// Overlapping requests of one session, in any order of their steps and of the store's calls, some of which fail or come
// too late. A history says what happens and in which order; what every answer promised must hold in the end.

/** For each mode; fuzzing multiplies it */
const HISTORIES = times(1) === 1 ? 300 : 500

const store = (processes: 1 | 2, ...optional: Mode['optional']): Mode => (
  { name: `store with ${['get, set, delete', ...optional].join()}`, storage: 'store', optional, denylist: false, processes }
)
const overflow = (processes: 1 | 2, denylist: boolean): Mode => (
  { name: `overflow${denylist ? ' with a denylist' : ''}`, storage: 'overflow', optional: ['replace'], denylist, processes }
)
const list = (processes: 1 | 2): Mode => ({ name: 'cookie with a denylist', storage: 'cookie', optional: [], denylist: true, processes })

const modes = [
  store(1), store(1, 'touch'), store(1, 'replace'), store(1, 'touch', 'replace'), store(2, 'replace'), store(2, 'touch', 'replace'),
  overflow(1, false), overflow(1, true), overflow(2, false), overflow(2, true), list(1), list(2)
]

for (const mode of modes) {
  t.test(`${mode.name}, processes: ${mode.processes}: answers hold, however requests overlap`, { timeout: 0 }, async t => {
    const theatre = new Theatre(mode)
    t.teardown(t.clock.enter())
    await fc.assert(fc.asyncProperty(histories(mode.storage === 'overflow'), async history => {
      await theatre.play(t.clock, history)
    }), runs(HISTORIES))
    t.pass()
  })
}

for (const mode of [store(1), overflow(1, false)]) {
  // With replace, a store notices by itself what was overtaken.
  for (const last of mode.storage === 'store' ? lastSteps : lastSteps.slice(-1)) {
    const title = `${mode.name}: ${last[0].do}, 10,000 other sessions, and ${last[1].do} by a request that began before`
    t.test(title, { timeout: 0 }, async t => {
      const theatre = new Theatre(mode)
      t.teardown(t.clock.enter())
      // Shrinking would take minutes.
      await fc.assert(fc.asyncProperty(noisy(mode.storage === 'overflow', last), async history => {
        await theatre.play(t.clock, history)
      }), { ...runs(1), endOnFailure: true })
      t.pass()
    })
  }
}

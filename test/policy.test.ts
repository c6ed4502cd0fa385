import t from 'tap'
import { decide, onRejection } from '../lib/session/policy.js'
import type { Facts } from '../lib/session/policy.js'

const fresh: Facts = { status: 'unmodified', standing: 'live', isChanged: false, isEmpty: true, isDue: false, cookie: 'none' }

t.test('the policy decides as in this table', async t => {
  const table: Array<[situation: string, facts: Partial<Facts>, action: ReturnType<typeof decide>]> = [
    ['a new session that stays empty', {}, 'nothing'],
    ['a new session that stays empty, touched', { status: 'touched' }, 'nothing'],
    ['a new session that stays empty, regenerated', { status: 'regenerated' }, 'nothing'],
    ['a new session that stays empty, destroyed', { status: 'destroyed' }, 'nothing'],
    ['a new session with data', { isChanged: true, isEmpty: false }, 'save'],
    ['a loaded session that is only read', { isEmpty: false, cookie: 'own' }, 'nothing'],
    ['a loaded session that changed', { isChanged: true, isEmpty: false, cookie: 'own' }, 'save'],
    ['a loaded session that was touched', { status: 'touched', isEmpty: false, cookie: 'own' }, 'save'],
    ['a loaded session that is due', { isDue: true, isEmpty: false, cookie: 'own' }, 'save'],
    ['a loaded session that lost its last key', { isChanged: true, cookie: 'own' }, 'clear'],
    ['a loaded session that was empty before', { cookie: 'own' }, 'nothing'],
    ['a loaded session that was empty before, touched', { status: 'touched', cookie: 'own' }, 'clear'],
    ['a regenerated session that keeps data', { status: 'regenerated', isChanged: true, isEmpty: false, cookie: 'other' }, 'save'],
    ['a regenerated session that is empty', { status: 'regenerated', cookie: 'other' }, 'clear'],
    ['a destroyed session', { status: 'destroyed', cookie: 'other' }, 'clear'],
    ['a destroyed session with data set after', { status: 'destroyed', isChanged: true, isEmpty: false, cookie: 'other' }, 'save'],
    ['a cookie that was rejected for good', { cookie: 'rejected' }, 'clear'],
    ['a cookie that was rejected for good, and data', { isChanged: true, isEmpty: false, cookie: 'rejected' }, 'save'],
    ['a cookie that is left for others', { cookie: 'other' }, 'nothing'],
    ['a cookie that is left for others, touched', { status: 'touched', cookie: 'other' }, 'nothing'],
    ['a session that another request has ended', { standing: 'gone', isChanged: true, isEmpty: false, isDue: true, cookie: 'own' }, 'nothing'],
    ['a session that another request has ended, emptied', { standing: 'gone', isChanged: true, cookie: 'own' }, 'nothing'],
    ['a session that could not be loaded', { standing: 'unread', isChanged: true, isEmpty: false, cookie: 'own' }, 'nothing'],
    ['a session that was not proven', { standing: 'unproven', status: 'touched', isChanged: true, isEmpty: false, isDue: true, cookie: 'other' }, 'nothing'],
    ['a session that was not proven, and is empty', { standing: 'unproven', status: 'touched', cookie: 'other' }, 'nothing']
  ]
  for (const [situation, facts, action] of table) t.equal(decide({ ...fresh, ...facts }), action, situation)
})

t.test('the cookie is cleared only for reasons that hold for every node and app', t => {
  const cleared = Object.entries(onRejection).filter(([, action]) => action === 'clear').map(([reason]) => reason)
  t.same(cleared, ['malformed', 'tampered', 'expired', 'outlived', 'invalid'])
  t.end()
})

import { hash } from 'node:crypto'

/** A Lua script. Once it has run, Redis can call it by its SHA-1. */
export interface Script { readonly text: string, readonly sha: string }

// An entry without a user is its text. An entry of a user is "@", the user's hash, a space and the text, so one GET reads it, and
// only the entry decides whose it is. The index of a user is a sorted set of ids, scored by when their entries expire. It may have
// too many ids, which `find` leaves out, but never too few. An id stays a minute longer than its entry, because in a cluster the
// two are on servers whose clocks may differ.
const COMMON = `
local GRACE = 60000

local function userOf (entry) return string.match(entry, '^@(%S+) ') or '' end

local function textOf (entry) return string.sub(entry, string.match(entry, '^@%S* ()') or 1) end

local function headOf (key) return redis.call('GETRANGE', key, 0, 44) end

local function now ()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function idsOf (index)
  redis.call('ZREMRANGEBYSCORE', index, '-inf', now() - GRACE)
  return redis.call('ZRANGE', index, 0, -1)
end

-- A full server rejects a script only at its first write, and only if that write needs memory. So ZADD comes first.
local function list (index, id, ttl)
  local moment = now()
  local known = redis.call('ZSCORE', index, id)
  if not known or tonumber(known) < moment + ttl then redis.call('ZADD', index, moment + ttl, id) end
  redis.call('ZREMRANGEBYSCORE', index, '-inf', moment - GRACE)
  if redis.call('PTTL', index) < ttl + GRACE then redis.call('PEXPIRE', index, ttl + GRACE) end
  return moment + ttl
end

-- Access rules (ACL) may forbid PUBLISH. The deletion must succeed all the same.
local function publish (channel, id) redis.pcall('PUBLISH', channel, id) end
`

function script (text: string): Script {
  const whole = COMMON + text
  return { text: whole, sha: hash('sha1', whole) }
}

// One server: an entry and the indexes of its users change in one step. The key of an index is the key of the entry with "user:"
// and the hash in place of the id. It is computed from KEYS[1], because the client may have added a prefix.
const MOVE = `
local function move (id, was, user, ttl)
  local prefix = string.sub(KEYS[1], 1, -1 - #id)
  if user ~= '' then list(prefix .. 'user:' .. user, id, ttl) end
  if was ~= '' and was ~= user then redis.call('ZREM', prefix .. 'user:' .. was, id) end
end
`

// The comments list the key, then the arguments, then the result.

/** The entry; id, entry, ttl, user. Always 1 */
export const SET = script(`${MOVE}
move(ARGV[1], userOf(headOf(KEYS[1])), ARGV[4], ARGV[3])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

/** The entry; id, entry, ttl, user, previous text. 1 if the entry had that text */
export const REPLACE = script(`${MOVE}
local entry = redis.call('GET', KEYS[1])
if not entry or textOf(entry) ~= ARGV[5] then return 0 end
move(ARGV[1], userOf(entry), ARGV[4], ARGV[3])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

/** The entry; id, ttl. 1 if there was one */
export const TOUCH = script(`${MOVE}
if redis.call('PEXPIRE', KEYS[1], ARGV[2]) == 0 then return 0 end
move(ARGV[1], '', userOf(headOf(KEYS[1])), ARGV[2])
return 1`)

/** The entry; id, channel. 1 if there was one */
export const DELETE = script(`${MOVE}
local was = userOf(headOf(KEYS[1]))
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
move(ARGV[1], was, '')
publish(ARGV[2], ARGV[1])
return 1`)

/** The index; user. A flat list of id, text and expiry for each entry */
export const FIND = script(`
local prefix = string.sub(KEYS[1], 1, -1 - #('user:' .. ARGV[1]))
local moment = now()
local found = {}
for _, id in ipairs(idsOf(KEYS[1])) do
  local entry = redis.call('GET', prefix .. id)
  if entry and userOf(entry) == ARGV[1] then
    table.insert(found, id)
    table.insert(found, textOf(entry))
    table.insert(found, moment + redis.call('PTTL', prefix .. id))
  else
    redis.call('ZREM', KEYS[1], id)
  end
end
return found`)

// A cluster: the same in steps that have one key each.

/** The index; id, ttl. Lists an id before its entry is written. When the entry must expire */
export const LIST = script('return list(KEYS[1], ARGV[1], ARGV[2])')

/** The index; id */
export const UNLIST = script('return redis.call(\'ZREM\', KEYS[1], ARGV[1])')

/** The index. Its ids */
export const IDS = script('return idsOf(KEYS[1])')

/** The entry; user. Text and expiry, or an empty list if it is not that user's */
export const READ = script(`
local entry = redis.call('GET', KEYS[1])
if not entry or userOf(entry) ~= ARGV[1] then return {} end
return { textOf(entry), now() + redis.call('PTTL', KEYS[1]) }`)

/** The entry; entry, PX or PXAT, time, previous text. 1 if the entry had that text */
export const REPLACE_ENTRY = script(`
local entry = redis.call('GET', KEYS[1])
if not entry or textOf(entry) ~= ARGV[4] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return 1`)

/** The entry; user, PEXPIRE or PEXPIREAT, time. 1 if there was one; a list with the user if it belongs to another user */
export const TOUCH_ENTRY = script(`
local head = headOf(KEYS[1])
if head == '' then return 0 end
if userOf(head) ~= ARGV[1] then return { userOf(head) } end
return redis.call(ARGV[2], KEYS[1], ARGV[3])`)

/** The entry; id, channel. A list with the entry's user, or an empty list if there was no entry */
export const DELETE_ENTRY = script(`
local user = userOf(headOf(KEYS[1]))
if redis.call('DEL', KEYS[1]) == 0 then return {} end
publish(ARGV[2], ARGV[1])
return { user }`)

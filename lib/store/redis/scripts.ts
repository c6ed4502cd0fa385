import { hash } from 'node:crypto'

/** A script that Redis knows by its SHA-1 once it has run. */
export interface Script { readonly text: string, readonly sha: string }

// An entry is its text. That of a user is "@", the user's hash, a space and the text, so that one GET reads it and nothing but
// the entry itself says whose it is. The index of a user is a sorted set of ids, by when their entries expire. It may list too
// much, which `find` leaves out, but never too little. An id stays a minute longer than its entry: in a cluster the two
// are on servers whose clocks may differ.
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

-- A server that is full rejects a script at its first write only, if that takes memory: so ZADD comes first.
local function list (index, id, ttl)
  local moment = now()
  local known = redis.call('ZSCORE', index, id)
  if not known or tonumber(known) < moment + ttl then redis.call('ZADD', index, moment + ttl, id) end
  redis.call('ZREMRANGEBYSCORE', index, '-inf', moment - GRACE)
  if redis.call('PTTL', index) < ttl + GRACE then redis.call('PEXPIRE', index, ttl + GRACE) end
  return moment + ttl
end

-- Whoever may not publish, by the server's access rules, may still delete.
local function publish (channel, id) redis.pcall('PUBLISH', channel, id) end
`

function script (text: string): Script {
  const whole = COMMON + text
  return { text: whole, sha: hash('sha1', whole) }
}

// One server: an entry and the indexes of its users change in one step. An index's key is that of the entry with
// "user:" and the hash in place of the id, whatever prefixes the client adds.
const MOVE = `
local function move (id, was, user, ttl)
  local prefix = string.sub(KEYS[1], 1, -1 - #id)
  if user ~= '' then list(prefix .. 'user:' .. user, id, ttl) end
  if was ~= '' and was ~= user then redis.call('ZREM', prefix .. 'user:' .. was, id) end
end
`

/** The entry; id, entry, ttl, user */
export const SET = script(`${MOVE}
move(ARGV[1], userOf(headOf(KEYS[1])), ARGV[4], ARGV[3])
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
return 1`)

/** The entry; id, entry, ttl, user, previous text. 1 if it was that */
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

/** The index; user. Ids, texts and when they expire, one after the other */
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

/** The index; id, ttl. Lists an id before its entry is written, and answers when the entry is to expire */
export const LIST = script('return list(KEYS[1], ARGV[1], ARGV[2])')

/** The index; id */
export const UNLIST = script('return redis.call(\'ZREM\', KEYS[1], ARGV[1])')

/** The index. Its ids */
export const IDS = script('return idsOf(KEYS[1])')

/** The entry; user. Text, and when it expires, if it is that user's */
export const READ = script(`
local entry = redis.call('GET', KEYS[1])
if not entry or userOf(entry) ~= ARGV[1] then return {} end
return { textOf(entry), now() + redis.call('PTTL', KEYS[1]) }`)

/** The entry; entry, PX or PXAT, time, previous text. 1 if it was that */
export const REPLACE_ENTRY = script(`
local entry = redis.call('GET', KEYS[1])
if not entry or textOf(entry) ~= ARGV[4] then return 0 end
redis.call('SET', KEYS[1], ARGV[1], ARGV[2], ARGV[3])
return 1`)

/** The entry; user, PEXPIRE or PEXPIREAT, time. 1 if there was one; if it is another's, whose it is, in a list */
export const TOUCH_ENTRY = script(`
local head = headOf(KEYS[1])
if head == '' then return 0 end
if userOf(head) ~= ARGV[1] then return { userOf(head) } end
return redis.call(ARGV[2], KEYS[1], ARGV[3])`)

/** The entry; id, channel. Whose it was, in a list that is empty if there was none */
export const DELETE_ENTRY = script(`
local user = userOf(headOf(KEYS[1]))
if redis.call('DEL', KEYS[1]) == 0 then return {} end
publish(ARGV[2], ARGV[1])
return { user }`)

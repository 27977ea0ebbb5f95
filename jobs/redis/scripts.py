"""What Redis does in one turn: the job store's scripts.

Times are Redis's own (`TIME`), so that no two machines need to agree on one. Values of a record are JSON texts, and are
compared as such. Runs on Redis 6.2 and later.
"""

#: Lengthens the life of an index to what its newest entry needs; never shortens it.
KEEP = """
local function keep(key, milliseconds)
  if redis.call('PTTL', key) < milliseconds then redis.call('PEXPIRE', key, milliseconds) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local function tell(key, record, event)
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  local id = redis.call('XADD', key, 'MAXLEN', 256, '*', 'e', event)
  redis.call('PEXPIRE', key, math.max(1, redis.call('PTTL', record)))
  -- API processes subscribe to the streams that their clients follow (`jobs.follow.feed`). The id of the event before
  -- shows them a gap. A Redis user without the right to publish fails here alone: the stream has the event.
  redis.pcall('PUBLISH', key, (last and last[1] or '0-0') .. ' ' .. id .. ' ' .. event)
end
"""

#: Puts a message into its queue where its turn is: before the first of those still there whose turn is later.
_PUSH = """
local function push(list, order, message, turn, fields)
  local hash = 'rq:job:' .. message
  redis.call('HSET', hash, unpack(fields))
  redis.call('PEXPIRE', hash, 604800000)
  redis.call('ZADD', order, turn, message)
  keep(order, 604800000)
  redis.call('SADD', 'rq:queues', list)
  local rank = redis.call('ZRANK', order, message)
  local later = redis.call('ZRANGE', order, rank + 1, rank + 8)
  if #later == 8 then
    for _, each in ipairs(later) do
      if redis.call('LINSERT', list, 'BEFORE', each, message) > 0 then return end
    end
  end
  -- A few that came at the same time stand at the end: there LINSERT would go through the whole list.
  local is_later, behind = {}, {}
  for _, each in ipairs(later) do is_later[each] = true end
  while #later > 0 and is_later[redis.call('LINDEX', list, -1)] do
    table.insert(behind, 1, redis.call('RPOP', list))
  end
  redis.call('RPUSH', list, message, unpack(behind))
end
"""

#: KEYS: named, active, bucket, owned, models, then for each job record, events, waiting, order, list, leases, pace.
#: ARGV: what is asked, and of each job the fields of its record and those of its message.
#: Answers what became of it: admitted, replayed {ids}, reused, rate {milliseconds}, active {how many}, or
#: full {job, how many, milliseconds}; nothing is written but for the first.
ADMIT = (
    KEEP
    + _PUSH
    + """
local asked = cjson.decode(ARGV[1])
local number = #asked.jobs
if asked.fingerprint then
  local before = redis.call('GET', KEYS[1])
  if before then
    local fingerprint, ids = string.match(before, '^(%S+) (.+)$')
    -- What was erased since, a name does not stand for any more.
    local first = string.match(ids, '^%S+')
    if redis.call('EXISTS', 'job:' .. first, 'batch:' .. first) > 0 then
      if fingerprint == asked.fingerprint then return {'replayed', ids} end
      return {'reused'}
    end
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
local active = redis.call('ZCARD', KEYS[2])
if asked.active and active + number > asked.active then return {'active', active} end
local tokens
if asked.per_minute then
  local left, at = unpack(redis.call('HMGET', KEYS[3], 'tokens', 'at'))
  tokens = (tonumber(left) or asked.burst) + (now - (tonumber(at) or now)) * asked.per_minute / 60000
  tokens = math.min(asked.burst, tokens) - number
  if tokens < 0 then return {'rate', math.ceil(-tokens / asked.per_minute * 60000)} end
end
local function keys_of(index) return unpack(KEYS, 7 * index - 1, 7 * index + 5) end
if asked.backlog then
  local waiting = {}
  for index = 1, number do
    local _, _, queued, _, _, leases, pace = keys_of(index)
    waiting[queued] = (waiting[queued] or redis.call('ZCARD', queued)) + 1
    if waiting[queued] > asked.backlog then
      local each = tonumber(redis.call('HGET', pace, 'seconds')) or 1
      local workers = math.max(1, redis.call('ZCARD', leases))
      return {'full', index, waiting[queued] - 1, math.ceil(each / workers * (waiting[queued] - asked.backlog) * 1000)}
    end
  end
end
if tokens then
  redis.call('HSET', KEYS[3], 'tokens', tokens, 'at', now)
  redis.call('PEXPIRE', KEYS[3], math.ceil(asked.burst / asked.per_minute * 60000) + 1000)
end
local ids = {}
for index, job in ipairs(asked.jobs) do
  local record, events, queued, order, list = keys_of(index)
  redis.call('HSET', record, unpack(job.fields))
  redis.call('PEXPIREAT', record, job.expires_at)
  redis.call('ZADD', queued, job.start_by, job.id)
  redis.call('SADD', KEYS[5], job.model)
  redis.call('ZADD', KEYS[2], job.expires_at, job.id)
  redis.call('ZADD', KEYS[4], job.created_at, job.id)
  for _, key in ipairs({queued, KEYS[5], KEYS[2], KEYS[4]}) do keep(key, job.expires_at - now) end
  push(list, order, job.message, job.turn, job.message_fields)
  tell(events, record, 'queued')
  ids[index] = job.id
end
if asked.batch then
  local batch = 'batch:' .. asked.batch.id
  redis.call('HSET', batch, 'about', asked.batch.about, 'left', number)
  for _, job in ipairs(asked.jobs) do keep(batch, job.expires_at - now) end
  ids = {asked.batch.id}
end
-- What is older than any record can be is forgotten.
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - asked.oldest)
if asked.fingerprint then
  redis.call('SET', KEYS[1], asked.fingerprint .. ' ' .. table.concat(ids, ' '), 'PX', asked.jobs[1].expires_at - now)
end
return {'admitted'}
"""
)

#: KEYS: record, events, waiting, leases, litter, outbox, dead, order, list, active, pace. ARGV: the move, the fields it
#: writes, those of a new message. Answers false where there is no record, else whether it was done, and the record
#: after it.
MOVE = (
    KEEP
    + _PUSH
    + """
local function count_down(batch, outbox, move, life)
  if redis.call('EXISTS', batch) == 0 then return end
  keep(batch, life)
  if not move.ends then return end
  redis.call('HSET', batch, move.id, move.ends)
  if redis.call('HINCRBY', batch, 'left', -1) > 0 then return end
  -- From here on it is kept as long as the job that ended last.
  redis.call('HSET', batch, 'finished_at', now, 'expires_at', now + life)
  redis.call('PEXPIRE', batch, life)
  redis.call('XADD', outbox, '*', 'batch', string.sub(batch, 7), 'status', 'ended')
  tell(batch .. ':events', batch, 'ended')
end
local move = cjson.decode(ARGV[1])
local status, execution, message, batch =
  unpack(redis.call('HMGET', KEYS[1], 'status', 'execution', 'message', 'batch'))
if not status then return false end
local held = move.holder == nil or move.holder == execution
local lapsed = not move.lapsed or now >= tonumber(redis.call('ZSCORE', KEYS[4], move.id) or 0)
if status ~= move.from or not held or not lapsed then
  -- Said once before, when the answer was lost on its way: it is done.
  local done = move.ends and move.holder ~= nil and held and status == move.to
  return {done and 1 or 0, redis.call('HGETALL', KEYS[1])}
end
if move.once and redis.call('HGET', KEYS[1], move.once[1]) == move.once[2] then
  return {1, redis.call('HGETALL', KEYS[1])}
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2, 1 + move.fields))
redis.call('HINCRBY', KEYS[1], 'revision', 1)
if move.attempts ~= 0 then redis.call('HINCRBY', KEYS[1], 'attempt', move.attempts) end
if move.expires_at then
  redis.call('PEXPIREAT', KEYS[1], move.expires_at)
  redis.call('ZADD', KEYS[10], 'XX', move.expires_at, move.id)
end
local life = redis.call('PTTL', KEYS[1])
if move.to ~= move.from then
  redis.call('ZREM', KEYS[3], move.id)
  redis.call('ZREM', KEYS[4], move.id)
  if message and message ~= 'null' and move.from == '"queued"' then
    local id = string.sub(message, 2, -2)
    if not move.message then redis.call('HDEL', KEYS[1], 'message') end
    redis.call('ZREM', KEYS[8], id)
    -- Taken by a worker, the message is RQ's to tidy up.
    if not move.lease and redis.call('LREM', KEYS[9], 1, id) > 0 then redis.call('DEL', 'rq:job:' .. id) end
  end
  if move.start_by then redis.call('ZADD', KEYS[3], move.start_by, move.id); keep(KEYS[3], life) end
  if move.lease then redis.call('ZADD', KEYS[4], now + move.lease, move.id); keep(KEYS[4], life) end
end
if move.message then push(KEYS[9], KEYS[8], move.message, move.turn, {unpack(ARGV, 2 + move.fields)}) end
for _, item in ipairs(move.litter) do
  redis.call('ZADD', KEYS[5], item[2], item[1])
  keep(KEYS[5], item[2] - now + 604800000)
end
if move.dead then redis.call('ZADD', KEYS[7], now, move.id); keep(KEYS[7], life) end
if move.took then
  -- The last few jobs count most: what it was an hour ago says little.
  local before = tonumber(redis.call('HGET', KEYS[11], 'seconds')) or move.took
  redis.call('HSET', KEYS[11], 'seconds', before + (move.took - before) * 0.3)
  redis.call('PEXPIRE', KEYS[11], 86400000)
end
if move.ends then
  redis.call('ZREM', KEYS[10], move.id)
  redis.call('XADD', KEYS[6], 'MINID', '~', now - 604800000, '*', 'job', move.id, 'status', move.ends)
  keep(KEYS[6], 604800000)
end
if batch and batch ~= 'null' then count_down('batch:' .. string.sub(batch, 2, -2), KEYS[6], move, life) end
if move.event then tell(KEYS[2], KEYS[1], move.event) end
return {1, redis.call('HGETALL', KEYS[1])}
"""
)

#: KEYS: a batch. Answers what it is about, when it ended and is forgotten, and the state of each of its jobs, in one
#: look: of those that have ended as the batch has it, for their records may be gone.
LOOK = """
local about, finished_at, expires_at = unpack(redis.call('HMGET', KEYS[1], 'about', 'finished_at', 'expires_at'))
if not about then return false end
local found = {about, finished_at, expires_at}
for _, id in ipairs(cjson.decode(about).edits) do
  found[#found + 1] = redis.call('HGET', KEYS[1], id)
    or string.sub(redis.call('HGET', 'job:' .. id, 'status') or '"expired"', 2, -2)
end
return found
"""

#: KEYS: record, order, list. ARGV: the id of a new message, "last" where it is to go behind all others, its fields.
#: Answers whether the job waits; its old message is gone then.
DELIVER = (
    KEEP
    + _PUSH
    + """
local status, message = unpack(redis.call('HMGET', KEYS[1], 'status', 'message'))
if status ~= '"queued"' then return 0 end
local turn = now
if message and message ~= 'null' then
  local id = string.sub(message, 2, -2)
  if ARGV[2] ~= 'last' then turn = redis.call('ZSCORE', KEYS[2], id) or turn end
  redis.call('ZREM', KEYS[2], id)
  if redis.call('LREM', KEYS[3], 1, id) > 0 then redis.call('DEL', 'rq:job:' .. id) end
end
redis.call('HSET', KEYS[1], 'message', cjson.encode(ARGV[1]))
push(KEYS[3], KEYS[2], ARGV[1], turn, {unpack(ARGV, 3)})
return 1
"""
)

#: KEYS: record, leases. ARGV: id, execution, milliseconds. Answers whether the execution still has the job.
RENEW = (
    KEEP
    + """
local status, execution = unpack(redis.call('HMGET', KEYS[1], 'status', 'execution'))
if status ~= '"running"' or execution ~= ARGV[2] then return 0 end
redis.call('ZADD', KEYS[2], 'XX', now + ARGV[3], ARGV[1])
return 1
"""
)

#: KEYS: record, events, litter, dead, owned, outbox, due, telling, deliveries. ARGV: id, prefix, states that are ends.
#: Answers the state; erases if it is one. Whoever erases a job knows that it has ended: nobody is told any more.
ERASE = (
    KEEP
    + """
local status = redis.call('HGET', KEYS[1], 'status')
if not status or not string.find(ARGV[3], status, 1, true) then return status end
local entry = redis.call('HGET', KEYS[8], 'entry')
if entry then redis.call('XDEL', KEYS[6], entry) end
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[8], KEYS[9])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[2])
keep(KEYS[3], 604800000)
return status
"""
)

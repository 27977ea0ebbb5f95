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
  redis.call('XADD', key, 'MAXLEN', 256, '*', 'e', event)
  redis.call('PEXPIRE', key, math.max(1, redis.call('PTTL', record)))
end
"""

#: KEYS: record, events, waiting, models. ARGV: {id, model, expires_at, start_by} with milliseconds, then the fields.
CREATE = (
    KEEP
    + """
local job = cjson.decode(ARGV[1])
redis.call('HSET', KEYS[1], unpack(ARGV, 2))
redis.call('PEXPIREAT', KEYS[1], job.expires_at)
redis.call('ZADD', KEYS[3], job.start_by, job.id)
redis.call('SADD', KEYS[4], job.model)
for index = 3, 4 do keep(KEYS[index], job.expires_at - now) end
tell(KEYS[2], KEYS[1], 'queued')
"""
)

#: KEYS: record, events, waiting, leases, litter, outbox, dead. ARGV: the move, then the fields it writes.
#: Answers false where there is no record, else whether it was done, and the record after it.
MOVE = (
    KEEP
    + """
local move = cjson.decode(ARGV[1])
local status, execution = unpack(redis.call('HMGET', KEYS[1], 'status', 'execution'))
if not status then return false end
local held = move.holder == nil or move.holder == execution
local lapsed = not move.lapsed or now >= tonumber(redis.call('ZSCORE', KEYS[4], move.id) or 0)
if status ~= move.from or not held or not lapsed then
  -- Said once before, when the answer was lost on its way: it is done.
  local done = move.ends and move.holder ~= nil and held and status == move.to
  return {done and 1 or 0, redis.call('HGETALL', KEYS[1])}
end
if #ARGV > 1 then redis.call('HSET', KEYS[1], unpack(ARGV, 2)) end
if move.attempts ~= 0 then redis.call('HINCRBY', KEYS[1], 'attempt', move.attempts) end
if move.expires_at then redis.call('PEXPIREAT', KEYS[1], move.expires_at) end
local life = redis.call('PTTL', KEYS[1])
if move.to ~= move.from then
  redis.call('ZREM', KEYS[3], move.id)
  redis.call('ZREM', KEYS[4], move.id)
  if move.start_by then redis.call('ZADD', KEYS[3], move.start_by, move.id); keep(KEYS[3], life) end
  if move.lease then redis.call('ZADD', KEYS[4], now + move.lease, move.id); keep(KEYS[4], life) end
end
for _, item in ipairs(move.litter) do
  redis.call('ZADD', KEYS[5], item[2], item[1])
  keep(KEYS[5], item[2] - now + 604800000)
end
if move.dead then redis.call('ZADD', KEYS[7], now, move.id); keep(KEYS[7], life) end
if move.ends then
  redis.call('XADD', KEYS[6], 'MINID', '~', now - 604800000, '*', 'job', move.id, 'status', move.ends)
  keep(KEYS[6], 604800000)
end
if move.event then tell(KEYS[2], KEYS[1], move.event) end
return {1, redis.call('HGETALL', KEYS[1])}
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

#: KEYS: record, events, litter, dead, outbox, due, telling, deliveries. ARGV: id, prefix, states that are ends.
#: Answers the state; erases if it is one. Whoever erases a job knows that it has ended: nobody is told any more.
ERASE = (
    KEEP
    + """
local status = redis.call('HGET', KEYS[1], 'status')
if not status or not string.find(ARGV[3], status, 1, true) then return status end
local entry = redis.call('HGET', KEYS[7], 'entry')
if entry then redis.call('XDEL', KEYS[5], entry) end
redis.call('ZREM', KEYS[6], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[7], KEYS[8])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[2])
keep(KEYS[3], 604800000)
return status
"""
)

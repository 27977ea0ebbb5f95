"""What Redis does in one turn: the scripts of the due list. See `outbox.due_list` for what they are about.

What has ended is called a subject (`keys.record_of`). Its `telling` is a hash: `entry` (of the outbox), `message`
(JSON), `attempts` (that came to an end), and `holder` (whose attempt is under way).
"""

from jobs.redis.scripts import KEEP

#: Lifetime of the list and of what stands on it, beyond the next attempt; milliseconds: a week, as the outbox has it.
_WEEK = "local week = 604800000\n"

#: KEYS: seen, outbox, due, then a `telling` per entry. ARGV: the last entry seen so far and after this, then for each
#: entry its id, its subject and the message, "" where nobody is to be told. Answers 0 where another was faster.
ACCEPT = (
    KEEP
    + _WEEK
    + """
if (redis.call('GET', KEYS[1]) or '0-0') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', week)
for index = 4, #KEYS do
  local entry, subject, message = unpack(ARGV, 3 * (index - 4) + 3, 3 * (index - 4) + 5)
  local told = redis.call('HGET', KEYS[index], 'entry')
  if message == '' or (told and told ~= entry) then
    redis.call('XDEL', KEYS[2], entry)
  elseif not told then
    redis.call('HSET', KEYS[index], 'entry', entry, 'message', message, 'attempts', 0)
    redis.call('PEXPIRE', KEYS[index], week)
    redis.call('ZADD', KEYS[3], now, subject)
    keep(KEYS[3], week)
  end
end
return 1
"""
)

#: KEYS: due. ARGV: how many at most. Answers the subjects whose time has come.
COME = (
    KEEP
    + """
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])
"""
)

#: KEYS: due, telling. ARGV: subject, holder, lease. Answers message, attempts and entry, or false where another has it.
CLAIM = (
    KEEP
    + """
local when = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not when or tonumber(when) > now then return false end
local message, attempts, entry = unpack(redis.call('HMGET', KEYS[2], 'message', 'attempts', 'entry'))
if not message then redis.call('ZREM', KEYS[1], ARGV[1]); return false end
redis.call('HSET', KEYS[2], 'holder', ARGV[2])
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
return {message, attempts, entry}
"""
)

#: KEYS: due, then a `telling` per claim. ARGV: lease, then for each claim subject and holder.
RENEW = (
    KEEP
    + """
for index = 2, #KEYS do
  local subject, holder = unpack(ARGV, 2 * index - 2, 2 * index - 1)
  if redis.call('HGET', KEYS[index], 'holder') == holder then redis.call('ZADD', KEYS[1], now + ARGV[1], subject) end
end
"""
)

#: KEYS: due, telling. ARGV: subject, holder, milliseconds. The claim is given back and comes again after so long.
PUT_OFF = (
    KEEP
    + """
if redis.call('HGET', KEYS[2], 'holder') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], 'holder')
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
return 1
"""
)

#: KEYS: due, telling, outbox, record, deliveries. ARGV: subject, holder, the attempt as JSON, how many are kept,
#: whether it was delivered, milliseconds until the next attempt or "". Answers whether it is settled by this.
#: A sender that was given up for dead settles only that its message was taken: nobody need send it again.
SETTLE = (
    KEEP
    + _WEEK
    + """
local entry, holder = unpack(redis.call('HMGET', KEYS[2], 'entry', 'holder'))
if not entry or (holder ~= ARGV[2] and ARGV[5] ~= '1') then return 0 end
local life = redis.call('PTTL', KEYS[4])
if life > 0 then
  redis.call('RPUSH', KEYS[5], ARGV[3])
  redis.call('LTRIM', KEYS[5], -tonumber(ARGV[4]), -1)
  redis.call('PEXPIRE', KEYS[5], life)
end
if ARGV[6] == '' then
  redis.call('XDEL', KEYS[3], entry)
  redis.call('DEL', KEYS[2])
  redis.call('ZREM', KEYS[1], ARGV[1])
else
  redis.call('HINCRBY', KEYS[2], 'attempts', 1)
  redis.call('HDEL', KEYS[2], 'holder')
  redis.call('PEXPIRE', KEYS[2], ARGV[6] + week)
  redis.call('ZADD', KEYS[1], now + ARGV[6], ARGV[1])
  keep(KEYS[1], ARGV[6] + week)
end
return 1
"""
)

#: KEYS: record, outbox, due, telling. ARGV: subject, then as the outbox has it: what it is ("job", "batch"), its id and
#: status. Answers false where there is no record.
AGAIN = (
    KEEP
    + _WEEK
    + """
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
if redis.call('EXISTS', KEYS[4]) == 0 then
  redis.call('XADD', KEYS[2], 'MINID', '~', now - week, '*', ARGV[2], ARGV[3], 'status', ARGV[4])
  keep(KEYS[2], week)
elseif redis.call('HEXISTS', KEYS[4], 'holder') == 0 then
  redis.call('ZADD', KEYS[3], 'XX', now, ARGV[1])
end
return 1
"""
)

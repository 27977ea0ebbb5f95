-- KEYS: due, telling. ARGV: subject, holder, lease. Answers message, attempts and entry, or false where another has it.
-- needs: keep
local when = redis.call('ZSCORE', KEYS[1], ARGV[1])
if not when or tonumber(when) > now then return false end
local message, attempts, entry = unpack(redis.call('HMGET', KEYS[2], 'message', 'attempts', 'entry'))
if not message then redis.call('ZREM', KEYS[1], ARGV[1]); return false end
redis.call('HSET', KEYS[2], 'holder', ARGV[2])
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
return {message, attempts, entry}

-- KEYS: due, telling, outbox, record, deliveries. ARGV: subject, holder, the attempt as JSON, how many are kept,
-- whether it was delivered, milliseconds until the next attempt or "". Answers whether it is settled by this.
-- A sender that was given up for dead settles only that its message was taken: nobody need send it again.
-- needs: keep
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
  redis.call('PEXPIRE', KEYS[2], ARGV[6] + WEEK)
  redis.call('ZADD', KEYS[1], now + ARGV[6], ARGV[1])
  keep(KEYS[1], ARGV[6] + WEEK)
end
return 1

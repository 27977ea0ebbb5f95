-- KEYS: batch, its events, outbox, due, telling, deliveries. ARGV: what the outbox calls it.
-- Its client has had it erased: no webhook is sent of it any more.
local entry = redis.call('HGET', KEYS[5], 'entry')
if entry then redis.call('XDEL', KEYS[3], entry) end
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[5], KEYS[6])

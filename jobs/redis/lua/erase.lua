-- KEYS: record, events, litter, dead, owned, outbox, due, telling, deliveries. ARGV: id, prefix, states that are
-- ends, its subject's index or "".
-- Answers the state; erases if it is one. Its client knows that it has ended: no webhook is sent any more.
-- needs: keep
local status = redis.call('HGET', KEYS[1], 'status')
if not status or not string.find(ARGV[3], status, 1, true) then return status end
local entry = redis.call('HGET', KEYS[8], 'entry')
if entry then redis.call('XDEL', KEYS[6], entry) end
redis.call('ZREM', KEYS[7], ARGV[1])
redis.call('DEL', KEYS[1], KEYS[2], KEYS[8], KEYS[9])
redis.call('ZREM', KEYS[4], ARGV[1])
redis.call('ZREM', KEYS[5], ARGV[1])
if ARGV[4] ~= '' then redis.call('ZREM', ARGV[4], 'edit ' .. ARGV[1]) end
redis.call('ZADD', KEYS[3], now, ARGV[2])
keep(KEYS[3], WEEK)
return status

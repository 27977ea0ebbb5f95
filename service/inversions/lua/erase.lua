-- KEYS: record, inversions of the owner, litter, source. ARGV: id, prefix, key, milliseconds, mark.
-- What a worker may just be storing is removed once more after that time, under the mark.
-- needs: keep
redis.call('DEL', KEYS[1])
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[2], now + ARGV[4], ARGV[2] .. ARGV[5])
keep(KEYS[3], ARGV[4] + WEEK)
if redis.call('GET', KEYS[4]) == ARGV[3] then redis.call('DEL', KEYS[4]) end

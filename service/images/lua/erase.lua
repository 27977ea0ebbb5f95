-- KEYS: record, images of the owner, litter. ARGV: id, prefix. Answers whether it was there.
-- needs: keep
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
redis.call('ZADD', KEYS[3], now, ARGV[2])
keep(KEYS[3], WEEK)
return 1

-- KEYS: record, images of the owner, litter. ARGV: id, prefix, its subject's index or "". Answers whether it was there.
-- needs: keep
if redis.call('DEL', KEYS[1]) == 0 then return 0 end
redis.call('ZREM', KEYS[2], ARGV[1])
if ARGV[3] ~= '' then redis.call('ZREM', ARGV[3], 'image ' .. ARGV[1]) end
redis.call('ZADD', KEYS[3], now, ARGV[2])
keep(KEYS[3], WEEK)
return 1

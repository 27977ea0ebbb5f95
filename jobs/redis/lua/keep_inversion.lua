-- KEYS: record, inversions of the owner, litter, source, the picture's record. ARGV: id, prefix, key, record, its end.
-- needs: keep
if redis.call('EXISTS', KEYS[5]) == 0 then return 0 end
local before = string.match(redis.call('GET', KEYS[4]) or '', '^inversions/([^/]+)/')
if before then
  redis.call('DEL', 'inversion:' .. before)
  redis.call('ZREM', KEYS[2], before)
  redis.call('ZADD', KEYS[3], now, 'inversions/' .. before)
end
redis.call('SET', KEYS[1], ARGV[4], 'PXAT', ARGV[5])
redis.call('SET', KEYS[4], ARGV[3], 'PXAT', ARGV[5])
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
redis.call('ZADD', KEYS[2], ARGV[5], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[5], ARGV[2])
keep(KEYS[2], ARGV[5] - now)
keep(KEYS[3], ARGV[5] - now + WEEK)
return 1

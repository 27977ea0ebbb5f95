-- KEYS: record, images of the owner, litter. ARGV: id, prefix, record as JSON, its end in milliseconds, most,
-- its subject's index or "".
-- Where there are as many already, answers in how many milliseconds the first of them ends.
-- needs: keep
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[5]) then
  return math.max(1, (redis.call('ZRANGE', KEYS[2], 0, 0, 'WITHSCORES')[2] or now) - now)
end
redis.call('HSET', KEYS[1], 'said', ARGV[3], 'expires_at', ARGV[4])
redis.call('PEXPIREAT', KEYS[1], ARGV[4])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[4], ARGV[2])
if ARGV[6] ~= '' then
  redis.call('ZREMRANGEBYSCORE', ARGV[6], '-inf', now)
  redis.call('ZADD', ARGV[6], ARGV[4], 'image ' .. ARGV[1])
  keep(ARGV[6], ARGV[4] - now)
end
keep(KEYS[2], ARGV[4] - now)
keep(KEYS[3], ARGV[4] - now + WEEK)
return 0

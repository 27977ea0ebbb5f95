-- KEYS: due, telling. ARGV: subject, holder, milliseconds. The claim is given back and comes again after so long.
-- needs: keep
if redis.call('HGET', KEYS[2], 'holder') ~= ARGV[2] then return 0 end
redis.call('HDEL', KEYS[2], 'holder')
redis.call('ZADD', KEYS[1], now + ARGV[3], ARGV[1])
return 1

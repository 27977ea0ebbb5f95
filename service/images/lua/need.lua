-- KEYS: record, images of the owner, litter. ARGV: id, prefix, milliseconds until which it is needed, its
-- subject's index or "". Answers whether it is there.
-- needs: keep
local ends = tonumber(redis.call('HGET', KEYS[1], 'expires_at'))
if not ends then return 0 end
if ends >= tonumber(ARGV[3]) then return 1 end
redis.call('HSET', KEYS[1], 'expires_at', ARGV[3])
redis.call('PEXPIREAT', KEYS[1], ARGV[3])
redis.call('ZADD', KEYS[2], 'XX', ARGV[3], ARGV[1])
redis.call('ZADD', KEYS[3], ARGV[3], ARGV[2])
if ARGV[4] ~= '' then
  redis.call('ZADD', ARGV[4], 'XX', ARGV[3], 'image ' .. ARGV[1])
  keep(ARGV[4], ARGV[3] - now)
end
keep(KEYS[2], ARGV[3] - now)
keep(KEYS[3], ARGV[3] - now + WEEK)
return 1

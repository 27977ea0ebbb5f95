-- KEYS: record, leases. ARGV: id, execution, milliseconds. Answers whether the execution still has the job.
-- needs: keep
local status, execution = unpack(redis.call('HMGET', KEYS[1], 'status', 'execution'))
if status ~= '"running"' or execution ~= ARGV[2] then return 0 end
redis.call('ZADD', KEYS[2], 'XX', now + ARGV[3], ARGV[1])
return 1

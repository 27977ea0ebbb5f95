-- KEYS: record, order, list. ARGV: the id of a new message, "last" where it is to go behind all others, its fields.
-- Answers whether the job waits; its old message is gone then.
-- needs: keep push
local status, message = unpack(redis.call('HMGET', KEYS[1], 'status', 'message'))
if status ~= '"queued"' then return 0 end
local turn = now
if message and message ~= 'null' then
  local id = string.sub(message, 2, -2)
  if ARGV[2] ~= 'last' then turn = redis.call('ZSCORE', KEYS[2], id) or turn end
  redis.call('ZREM', KEYS[2], id)
  if redis.call('LREM', KEYS[3], 1, id) > 0 then redis.call('DEL', 'rq:job:' .. id) end
end
redis.call('HSET', KEYS[1], 'message', cjson.encode(ARGV[1]))
push(KEYS[3], KEYS[2], ARGV[1], turn, {unpack(ARGV, 3)})
return 1

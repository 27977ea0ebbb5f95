-- KEYS: record, order, list, leases. ARGV: the id of a new message; "last" where it is to go behind all others, "lost"
-- where it is to go only if the list has none; its fields. Answers whether it was sent; the job's old message is gone
-- then.
-- needs: keep push fair
local status, message, started = unpack(redis.call('HMGET', KEYS[1], 'status', 'message', 'start_tag'))
if status ~= '"queued"' then return 0 end
local line = line_in(KEYS[1])
local key = line and line_key(KEYS[2], line)
local tag, place = tonumber(started or nil), now
if message and message ~= 'null' then
  local id = string.sub(message, 2, -2)
  -- Another reaper has seen the same, and was faster.
  local is_held = ARGV[2] == 'lost' and (redis.call('ZSCORE', deep_of(KEYS[2]), id) or redis.call('LPOS', KEYS[3], id))
  if is_held then return 0 end
  tag = tonumber(redis.call('ZSCORE', KEYS[2], id)) or tag
  place = key and tonumber(redis.call('ZSCORE', key, id)) or place
  redis.call('ZREM', KEYS[2], id)
  if key then redis.call('ZREM', key, id) end
  withdraw(KEYS[3], KEYS[2], id)
end
local function last_of(index) return index and tonumber(redis.call('ZREVRANGE', index, 0, 0, 'WITHSCORES')[2]) or 0 end
tag = tag or virtual_time(KEYS[2], KEYS[4])
if ARGV[2] == 'last' then tag, place = math.max(tag, last_of(KEYS[2]) + 1), math.max(place, last_of(key) + 1) end
redis.call('HSET', KEYS[1], 'message', cjson.encode(ARGV[1]))
rejoin(KEYS[2], KEYS[3], KEYS[1], ARGV[1], tag, place, {unpack(ARGV, 3)})
return 1

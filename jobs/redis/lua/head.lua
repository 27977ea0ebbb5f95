-- KEYS: order. ARGV: how many entries, then the messages whose records are known.
-- Answers the first messages in their order, each with the fields of its job's record unless that is known.
local known = {}
for index = 2, #ARGV do known[ARGV[index]] = true end
local found = {}
for index, message in ipairs(redis.call('ZRANGE', KEYS[1], 0, ARGV[1] - 1)) do
  found[index] = {message}
  if not known[message] then
    found[index][2] = redis.call('HGETALL', 'job:' .. (string.match(message, '^(.*)%-') or message))
  end
end
return found

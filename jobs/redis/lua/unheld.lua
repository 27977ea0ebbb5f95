-- KEYS: order, list, waiting. ARGV: the tag that the part begins with or "", how many entries it has, how far the list
-- may be out of step with the order.
-- Answers the messages of a part of the order which the list does not hold next to there, the tag to go on with ("" at
-- the end), and whether jobs wait that have no place in the order.
-- The list is in the order's order, but for what is no job's, what workers have taken and not begun, and what is deep.
-- needs: keep push
surface(KEYS[2], KEYS[1], DEEP / 4)
local count, slack, deep = tonumber(ARGV[2]), tonumber(ARGV[3]), deep_of(KEYS[1])
local ordered, held = redis.call('ZCARD', KEYS[1]), redis.call('LLEN', KEYS[2]) + redis.call('ZCARD', deep)
local function part_from(first) return first, redis.call('ZRANGE', KEYS[1], first, first + count - 1, 'WITHSCORES') end
local first, part
if ARGV[1] == '' then
  first, part = part_from(0)
else
  -- Once more from the last tag on, which several may have; behind it where they fill a part.
  first, part = part_from(redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[1]))
  if part[#part] == ARGV[1] then first, part = part_from(redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1])) end
end
local at = first - (part[2] and redis.call('ZCOUNT', deep, '-inf', '(' .. part[2]) or 0)
local from, last = at - math.max(0, ordered - held) - slack, at + count - 1 + math.max(0, held - ordered) + slack
local there, missing = {}, {}
for _, each in ipairs(redis.call('LRANGE', KEYS[2], math.max(0, from), last)) do there[each] = true end
for index = 1, #part, 2 do
  local message = part[index]
  if not there[message] and not redis.call('ZSCORE', deep, message) then table.insert(missing, message) end
end
local is_whole = first + #part / 2 >= ordered
return {missing, is_whole and '' or part[#part], redis.call('ZCARD', KEYS[3]) > ordered and 1 or 0}

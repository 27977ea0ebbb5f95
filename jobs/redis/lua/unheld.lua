-- KEYS: order, list, waiting. ARGV: the tag that the part begins with or "", how many entries it has, how far the list
-- may be out of step with the order.
-- Answers the messages of a part of the order which the list does not hold next to there, the tag to go on with ("" at
-- the end), and whether jobs wait that have no place in the order.
-- The list is in the order's order, but for what is no job's, and what workers have taken and not begun.
local count, slack = tonumber(ARGV[2]), tonumber(ARGV[3])
local ordered, held = redis.call('ZCARD', KEYS[1]), redis.call('LLEN', KEYS[2])
local function part_from(first) return first, redis.call('ZRANGE', KEYS[1], first, first + count - 1, 'WITHSCORES') end
local first, part
if ARGV[1] == '' then
  first, part = part_from(0)
else
  -- Once more from the last tag on, which several may have; behind it where they fill a part.
  first, part = part_from(redis.call('ZCOUNT', KEYS[1], '-inf', '(' .. ARGV[1]))
  if part[#part] == ARGV[1] then first, part = part_from(redis.call('ZCOUNT', KEYS[1], '-inf', ARGV[1])) end
end
local last = first + count - 1 + math.max(0, held - ordered) + slack
local there = {}
for _, each in ipairs(redis.call('LRANGE', KEYS[2], math.max(0, first - math.max(0, ordered - held) - slack), last)) do
  there[each] = true
end
local missing = {}
for index = 1, #part, 2 do
  if not there[part[index]] then table.insert(missing, part[index]) end
end
local is_whole = first + #part / 2 >= ordered
return {missing, is_whole and '' or part[#part], redis.call('ZCARD', KEYS[3]) > ordered and 1 or 0}

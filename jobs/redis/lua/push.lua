-- Puts messages into a model's queue, RQ's list. Redis can put one into a list only by walking to its place. So one that
-- belongs far behind the first and before others waits in `deep:MODEL`, by its tag, until it is among the first: the list
-- is in the order's order, and lacks what is in there.

-- Places of the order within which all messages are in the list. Half of them may be taken and not begun.
local DEEP = 2000
-- The last places are put right from the list's end.
local LAST = 8
-- How many messages one script brings up.
local AT_ONCE = 64

local function deep_of(order) return (string.gsub(order, '^order', 'deep', 1)) end

-- Puts a message where its tag is: before the first of those still there whose tag is larger. None before it is deep.
local function put(list, order, message)
  local deep, rank = deep_of(order), redis.call('ZRANK', order, message)
  local later = redis.call('ZRANGE', order, rank + 1, rank + 8)
  for round = 1, 4 do
    if #later < 8 then break end
    for _, each in ipairs(later) do
      local is_there = not redis.call('ZSCORE', deep, each)
      if is_there and redis.call('LINSERT', list, 'BEFORE', each, message) > 0 then return end
    end
    -- All of these are deep, or workers have taken them and begun none yet.
    later = redis.call('ZRANGE', order, rank + 8 * round + 1, rank + 8 * round + 8)
  end
  if #later == 8 then
    for before = rank - 1, math.max(0, rank - 8), -1 do
      local each = redis.call('ZRANGE', order, before, before)[1]
      if redis.call('LINSERT', list, 'AFTER', each, message) > 0 then return end
    end
    -- What goes before it is taken as well.
    redis.call('LPUSH', list, message)
    return
  end
  -- A few that came at the same time stand at the end: there LINSERT would go through the whole list.
  local is_later, behind = {}, {}
  for _, each in ipairs(later) do is_later[each] = true end
  while #later > 0 and is_later[redis.call('LINDEX', list, -1)] do
    table.insert(behind, 1, redis.call('RPOP', list))
  end
  redis.call('RPUSH', list, message, unpack(behind))
end

-- Brings up the messages that are among the first by now. What waits no more is dropped here.
local function surface(list, order)
  local deep = deep_of(order)
  local first = redis.call('ZRANGE', deep, 0, 0)[1]
  if not first then return end
  local rank = redis.call('ZRANK', order, first)
  if rank and rank >= DEEP / 2 then return end
  for _, each in ipairs(redis.call('ZRANGE', deep, 0, AT_ONCE - 1)) do
    rank = redis.call('ZRANK', order, each)
    if rank and rank >= DEEP then return end
    redis.call('ZREM', deep, each)
    if rank then put(list, order, each) end
  end
end

-- A new message, at its tag.
local function push(list, order, message, tag, fields)
  local hash = 'rq:job:' .. message
  redis.call('HSET', hash, unpack(fields))
  redis.call('PEXPIRE', hash, WEEK)
  redis.call('ZADD', order, tag, message)
  keep(order, WEEK)
  redis.call('SADD', 'rq:queues', list)
  -- Wakes workers of several models (`jobs.redis.several_queues`), which cannot wait at all of their lists at once. A
  -- Redis user without the right to publish fails here alone: those workers look once a second anyway.
  redis.pcall('PUBLISH', list, message)
  local deep, rank = deep_of(order), redis.call('ZRANK', order, message)
  local is_last = rank + LAST >= redis.call('ZCARD', order)
  local first = not is_last and redis.call('ZRANGE', deep, 0, 0, 'WITHSCORES')[2]
  if not is_last and (rank >= DEEP or (first and tonumber(first) <= tonumber(tag))) then
    redis.call('ZADD', deep, tag, message)
    keep(deep, WEEK)
  else
    put(list, order, message)
  end
end

-- Takes a message out again that no worker has moved.
local function withdraw(list, order, message)
  if redis.call('ZREM', deep_of(order), message) > 0 or redis.call('LREM', list, 1, message) > 0 then
    redis.call('DEL', 'rq:job:' .. message)
  end
end

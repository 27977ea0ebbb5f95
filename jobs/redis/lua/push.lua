-- Puts messages into a model's queue, RQ's list. Redis reaches a place in a list only by walking to it, so the list is
-- kept short: it begins with the first of the order, and what goes behind that waits in `deep:MODEL`, by its tag, until
-- it is among the first. The list is in the order's order, and lacks what is in there.

-- Places of the order that are to be in the list. Half of them may be taken and not begun: each begin brings up more.
-- In a list of 4,000 LINSERT took 0.3 ms of the slowest admissions (`INFO latencystats`, 25,000 waiting, busy cores).
local DEEP = 500
-- How many messages one script brings up, or takes down from a list that is twice as long.
local AT_ONCE = 64
-- How many an admission takes down from it: it adds one, and none is to take longer than others.
local FEW = 4

local function deep_of(order) return (string.gsub(order, '^order', 'deep', 1)) end

-- Puts a message where its tag is: before the first of those still there whose tag is larger.
local function put(list, order, message)
  local deep, rank = deep_of(order), redis.call('ZRANK', order, message)
  local later = redis.call('ZRANGE', order, rank + 1, rank + 8)
  for round = 1, 4 do
    if #later < 8 then break end
    local are_deep = redis.call('ZMSCORE', deep, unpack(later))
    for index, each in ipairs(later) do
      if not are_deep[index] and redis.call('LINSERT', list, 'BEFORE', each, message) > 0 then return end
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
  -- A few that came at the same time stand at the end.
  local is_later, behind = {}, {}
  for _, each in ipairs(later) do is_later[each] = true end
  while #later > 0 and is_later[redis.call('LINDEX', list, -1)] do
    table.insert(behind, 1, redis.call('RPOP', list))
  end
  redis.call('RPUSH', list, message, unpack(behind))
end

-- Takes the last messages of a list down. What is no job's message stays.
local function sink(list, order, number)
  local deep, scored, others = deep_of(order), {}, {}
  local last = redis.call('RPOP', list, number)
  for index, tag in ipairs(redis.call('ZMSCORE', order, unpack(last))) do
    if tag then
      table.insert(scored, tag)
      table.insert(scored, last[index])
    else
      table.insert(others, last[index])
    end
  end
  if #others > 0 then redis.call('LPUSH', list, unpack(others)) end
  if #scored > 0 then
    redis.call('ZADD', deep, unpack(scored))
    keep(deep, WEEK)
  end
end

-- Brings up the messages that are among the first by now, a number at most. What waits no more is dropped here.
local function surface(list, order, number)
  local deep = deep_of(order)
  local first = redis.call('ZRANGE', deep, 0, 0)[1]
  if not first then return end
  local rank = redis.call('ZRANK', order, first)
  if rank and rank >= DEEP / 2 then return end
  local block = redis.call('ZRANGE', deep, 0, math.min(number, DEEP - (rank or 0)) - 1)
  local tags, waiting = redis.call('ZMSCORE', order, unpack(block)), {}
  for index, each in ipairs(block) do
    if tags[index] then table.insert(waiting, each) end
  end
  local last = redis.call('LINDEX', list, -1)
  local before = last and redis.call('ZSCORE', order, last)
  local is_behind = waiting[1] and before and tonumber(before) < tonumber(redis.call('ZSCORE', order, waiting[1]))
  if #waiting == 0 or not last or is_behind then
    redis.call('ZREM', deep, unpack(block))
    if #waiting > 0 then redis.call('RPUSH', list, unpack(waiting)) end
    return
  end
  for index, each in ipairs(block) do
    redis.call('ZREM', deep, each)
    if tags[index] then put(list, order, each) end
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
  local deep = deep_of(order)
  local first = redis.call('ZRANGE', deep, 0, 0, 'WITHSCORES')[2]
  if first and tonumber(first) <= tonumber(tag) then
    redis.call('ZADD', deep, tag, message)
    keep(deep, WEEK)
    return
  end
  local length = redis.call('ZREVRANK', order, message) == 0 and redis.call('RPUSH', list, message)
  if not length then
    put(list, order, message)
    length = redis.call('LLEN', list)
  end
  if length > 2 * DEEP then sink(list, order, math.min(FEW, length - DEEP)) end
end

-- Takes a message out again that no worker has moved.
local function withdraw(list, order, message)
  if redis.call('ZREM', deep_of(order), message) > 0 or redis.call('LREM', list, 1, message) > 0 then
    redis.call('DEL', 'rq:job:' .. message)
  end
end

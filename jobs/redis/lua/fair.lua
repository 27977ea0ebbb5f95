-- The order between the keys of one model: start-time fair queueing. `order:MODEL` has the start tag of each waiting
-- message, `line:MODEL:OWNER` an owner's messages by whose turn it is among them. `fair:MODEL` has the finish tag of what
-- each owner began last, and under '' the virtual time: the start tag of what was begun last.

-- Equal tags go in the order in which they came: each gets a little more than the one before, a thousand of them. It is
-- next to nothing of what a job adds.
local TIE, APART = 128, 0.125
-- An owner's jobs of the same half millisecond go in the order in which they came, too: milliseconds.
local SAME, NEXT = 0.5, 0.001
-- A job that was begun before is first among its owner's.
local BEGUN = 0

local function beside(order, name) return (string.gsub(order, '^order', name, 1)) end
local function line_key(order, line) return beside(order, 'line') .. ':' .. line.owner end
local function bound(score) return string.format('(%.17g', score) end

-- How a job waits: its owner, its turn among its owner's, its charge. Records of the last version say nothing.
local function line_in(record)
  local text = redis.call('HGET', record, 'line')
  return text and text ~= 'null' and cjson.decode(text) or nil
end

-- The last version's tags are milliseconds, so virtual time begins as one. Where nothing waits and nothing runs it begins
-- anew: nobody is charged for what is over.
local function virtual_time(order, leases)
  local fair = beside(order, 'fair')
  local at = tonumber(redis.call('ZSCORE', fair, ''))
  if not at or redis.call('ZCARD', order) + redis.call('ZCARD', leases) == 0 then
    at = math.max(now, tonumber(redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')[2]) or 0)
    redis.call('DEL', fair)
    redis.call('ZADD', fair, at, '')
  end
  keep(fair, WEEK)
  return at
end

-- The tag of an owner's next job: after all that it has posted, and no earlier than now.
local function next_tag(order, leases, key, owner)
  local tag = math.max(virtual_time(order, leases), tonumber(redis.call('ZSCORE', beside(order, 'fair'), owner)) or 0)
  local last = redis.call('ZREVRANGE', key, 0, 0)[1]
  local before = last and tonumber(redis.call('ZSCORE', order, last))
  if before then
    local line = line_in('job:' .. string.match(last, '^(.*)%-'))
    tag = math.max(tag, before + (line and line.charge or 0))
  end
  local tied = redis.call('ZREVRANGEBYSCORE', order, bound(tag + TIE), tag, 'WITHSCORES', 'LIMIT', 0, 1)[2]
  return tied and tonumber(tied) + APART or tag
end

-- Some of an owner's messages wait for more or less of its work.
local function shift(order, messages, by)
  local deep = deep_of(order)
  local are_deep = redis.call('EXISTS', deep) > 0
  for _, each in ipairs(messages) do
    redis.call('ZADD', order, 'XX', 'INCR', by, each)
    if are_deep then redis.call('ZADD', deep, 'XX', 'INCR', by, each) end
  end
end

-- Puts a queue as its order says. What is no job's message comes first: a worker takes it and refuses it.
local function arrange(order, list)
  local there, sorted = {}, {}
  local before = redis.call('LRANGE', list, 0, -1)
  for _, each in ipairs(before) do there[each] = true end
  for _, each in ipairs(redis.call('ZRANGE', order, 0, -1)) do
    if there[each] then
      there[each] = nil
      table.insert(sorted, each)
    end
  end
  redis.call('DEL', list)
  for _, each in ipairs(before) do
    if there[each] then redis.call('RPUSH', list, each) end
  end
  for first = 1, #sorted, 500 do
    redis.call('RPUSH', list, unpack(sorted, first, math.min(first + 499, #sorted)))
  end
end

-- Where others wait too, an owner's messages that were shifted have other places between theirs.
local function settle(order, list, key)
  if redis.call('ZCARD', key) < redis.call('ZCARD', order) then arrange(order, list) end
  surface(list, order)
end

-- A new job's message: behind its owner's, but for those whose turn is later. These wait for its work as well.
local function join(order, leases, list, line, message, fields)
  local key = line_key(order, line)
  local behind = redis.call('ZRANGEBYSCORE', key, bound(line.turn + SAME), '+inf')
  local before = redis.call('ZREVRANGEBYSCORE', key, line.turn + SAME, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  local tag = behind[1] and tonumber(redis.call('ZSCORE', order, behind[1])) or next_tag(order, leases, key, line.owner)
  shift(order, behind, line.charge)
  redis.call('ZADD', key, math.max(line.turn, (tonumber(before) or 0) + NEXT), message)
  keep(key, WEEK)
  push(list, order, message, tag, fields)
  if #behind > 0 then settle(order, list, key) end
end

-- A message for a job that waits again, or whose message was lost: at its tag, at its place among its owner's.
local function rejoin(order, list, record, message, tag, place, fields)
  local line = line_in(record)
  if line then
    redis.call('ZADD', line_key(order, line), place, message)
    keep(line_key(order, line), WEEK)
  end
  push(list, order, message, tag, fields)
end

-- The job of a message is begun.
local function begin_in_order(order, record, message)
  local line, tag = line_in(record), tonumber(redis.call('ZSCORE', order, message))
  redis.call('ZREM', order, message)
  if line then redis.call('ZREM', line_key(order, line), message) end
  if not tag then return end
  redis.call('HSET', record, 'start_tag', string.format('%.17g', tag))
  local fair = beside(order, 'fair')
  local at = tonumber(redis.call('ZSCORE', fair, ''))
  -- All that waits was queued by the last version: virtual time begins behind it, with the next job that is admitted.
  if not at then return end
  at = math.max(at, tag)
  redis.call('ZADD', fair, at, '')
  if line then redis.call('ZADD', fair, 'GT', tag + line.charge, line.owner) end
  redis.call('ZREMRANGEBYSCORE', fair, '-inf', bound(at))
  keep(fair, WEEK)
end

-- The job of a message waits no more and was not begun: its owner is not charged for it. What was begun and came back
-- stands first in the line, at its old tag: that is earlier, too, if it was behind.
local function leave_order(order, list, record, message)
  local line, tag = line_in(record), tonumber(redis.call('ZSCORE', order, message))
  redis.call('ZREM', order, message)
  if not line then return end
  local key = line_key(order, line)
  local place = tonumber(redis.call('ZSCORE', key, message))
  redis.call('ZREM', key, message)
  if not place or place == BEGUN then return end
  local behind = redis.call('ZRANGEBYSCORE', key, bound(place), '+inf')
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', key, BEGUN, BEGUN)) do
    local its = tonumber(redis.call('ZSCORE', order, each))
    if tag and its and its > tag then table.insert(behind, each) end
  end
  shift(order, behind, -line.charge)
  if #behind > 0 then settle(order, list, key) end
end

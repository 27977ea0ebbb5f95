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
-- Arguments of one command: Lua takes a few thousand.
local PART = 500

local function beside(order, name) return (string.gsub(order, '^order', name, 1)) end
local function line_key(order, line) return beside(order, 'line') .. ':' .. line.owner end
local function bound(score) return string.format('(%.17g', score) end

-- How a job waits: its owner, its turn among its owner's, its charge. Records of the last version say nothing.
local function line_of(text) return text and text ~= 'null' and cjson.decode(text) or nil end
local function line_in(record) return line_of(redis.call('HGET', record, 'line')) end

-- The virtual time, and the finish tag of an owner. The last version's tags are milliseconds, so virtual time begins as
-- one. Where nothing waits and nothing runs it begins anew: nobody is charged for what is over.
local function virtual_time(order, leases, owner)
  local fair = beside(order, 'fair')
  local at, finish = unpack(redis.call('ZMSCORE', fair, '', owner or ''))
  at, finish = tonumber(at or nil), tonumber(finish or nil)
  if not at or (redis.call('ZCARD', order) == 0 and redis.call('ZCARD', leases) == 0) then
    at, finish = math.max(now, tonumber(redis.call('ZREVRANGE', order, 0, 0, 'WITHSCORES')[2]) or 0), nil
    redis.call('DEL', fair)
    redis.call('ZADD', fair, at, '')
  end
  keep(fair, WEEK)
  return at, finish or 0
end

-- The tag of an owner's next job: after all that it has posted, `last` of it, and no earlier than now.
local function next_tag(order, leases, last, owner)
  local tag = math.max(virtual_time(order, leases, owner))
  local before = last and tonumber(redis.call('ZSCORE', order, last))
  if before then
    local line = line_in('job:' .. string.match(last, '^(.*)%-'))
    tag = math.max(tag, before + (line and line.charge or 0))
  end
  local tied = redis.call('ZREVRANGEBYSCORE', order, bound(tag + TIE), tag, 'WITHSCORES', 'LIMIT', 0, 1)[2]
  return tied and tonumber(tied) + APART or tag
end

-- Adds to the scores of those that are in a sorted set. Answers whether all are.
local function add(key, messages, by)
  local are_all = true
  for first = 1, #messages, PART do
    local part, scored = {unpack(messages, first, math.min(first + PART - 1, #messages))}, {}
    for index, score in ipairs(redis.call('ZMSCORE', key, unpack(part))) do
      if score then
        table.insert(scored, tonumber(score) + by)
        table.insert(scored, part[index])
      else
        are_all = false
      end
    end
    if #scored > 0 then redis.call('ZADD', key, unpack(scored)) end
  end
  return are_all
end

-- Puts a queue as its order says, and takes down what is far behind by now. What is no job's message comes first: a
-- worker takes it and refuses it.
local function arrange(order, list)
  local there, sorted, before = {}, {}, redis.call('LRANGE', list, 0, -1)
  for _, each in ipairs(before) do there[each] = true end
  for _, each in ipairs(redis.call('ZRANGE', order, 0, 2 * DEEP - 1)) do
    if there[each] then
      there[each] = nil
      table.insert(sorted, each)
    end
  end
  redis.call('DEL', list)
  local others = {}
  for _, each in ipairs(before) do
    if there[each] then table.insert(others, each) end
  end
  for first = 1, #sorted, PART do
    redis.call('RPUSH', list, unpack(sorted, first, math.min(first + PART - 1, #sorted)))
  end
  for first = 1, #others, PART do
    local part = {unpack(others, first, math.min(first + PART - 1, #others))}
    redis.call('RPUSH', list, unpack(part))
    sink(list, order, #part)
  end
end

-- Some of an owner's messages wait for more or less of its work. Where others wait too, they have other places between
-- theirs.
local function shift(order, list, key, messages, by)
  if #messages == 0 then return end
  add(order, messages, by)
  local are_deep = add(deep_of(order), messages, by)
  if not are_deep and redis.call('ZCARD', key) < redis.call('ZCARD', order) then arrange(order, list) end
end

-- A new job's message: behind its owner's, but for those whose turn is later. These wait for its work as well.
local function join(order, leases, list, line, message, fields)
  local key = line_key(order, line)
  local last, before = unpack(redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES'))
  local behind = {}
  if last and tonumber(before) > line.turn + SAME then
    behind = redis.call('ZRANGEBYSCORE', key, bound(line.turn + SAME), '+inf')
    before = redis.call('ZREVRANGEBYSCORE', key, line.turn + SAME, '-inf', 'WITHSCORES', 'LIMIT', 0, 1)[2]
  end
  local tag = behind[1] and tonumber(redis.call('ZSCORE', order, behind[1])) or next_tag(order, leases, last, line.owner)
  shift(order, list, key, behind, line.charge)
  redis.call('ZADD', key, math.max(line.turn, (tonumber(before) or 0) + NEXT), message)
  keep(key, WEEK)
  push(list, order, message, tag, fields)
  if #behind > 0 then surface(list, order, AT_ONCE) end
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

-- The job of a message, which waited as `line` says, is begun. Answers its tag.
local function begin_in_order(order, line, message)
  local tag = tonumber(redis.call('ZSCORE', order, message))
  redis.call('ZREM', order, message)
  if line then redis.call('ZREM', line_key(order, line), message) end
  if not tag then return end
  local fair = beside(order, 'fair')
  local at = tonumber(redis.call('ZSCORE', fair, ''))
  -- All that waits was queued by the last version: virtual time begins behind it, with the next job that is admitted.
  if not at then return tag end
  at = math.max(at, tag)
  local finished = line and {tag + line.charge, line.owner} or {}
  redis.call('ZADD', fair, 'GT', at, '', unpack(finished))
  redis.call('ZREMRANGEBYSCORE', fair, '-inf', bound(at))
  keep(fair, WEEK)
  return tag
end

-- The job of a message waits no more and was not begun: its owner is not charged for it. What was begun and came back
-- stands first in the line, at its old tag: that is earlier, too, if it was behind.
local function leave_order(order, list, line, message)
  local tag = tonumber(redis.call('ZSCORE', order, message))
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
  shift(order, list, key, behind, -line.charge)
end

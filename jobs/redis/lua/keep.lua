-- Milliseconds. A list lives for a week beyond what its newest entry needs.
local DAY = 86400000
local WEEK = 7 * DAY
-- Lengthens the life of an index to what its newest entry needs; never shortens it.
local function keep(key, milliseconds)
  if redis.call('PTTL', key) < milliseconds then redis.call('PEXPIRE', key, milliseconds) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Writes an event into a stream, and publishes it.
local function tell(key, record, event)
  local last = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  local id = redis.call('XADD', key, 'MAXLEN', 256, '*', 'e', event)
  redis.call('PEXPIRE', key, math.max(1, redis.call('PTTL', record)))
  -- API processes subscribe to the streams that their clients follow (`jobs.follow.feed`). The id of the event before
  -- shows them a gap. A Redis user without the right to publish fails here alone: the stream has the event.
  redis.pcall('PUBLISH', key, (last and last[1] or '0-0') .. ' ' .. id .. ' ' .. event)
end

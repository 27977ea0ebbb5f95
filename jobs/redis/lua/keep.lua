-- Milliseconds. A list lives for a week beyond what its newest entry needs.
local DAY = 86400000
local WEEK = 7 * DAY
-- Lengthens the life of an index to what its newest entry needs, and by a day more: so it is written once a day, and not
-- with each entry. Never shortens it.
local function keep(key, milliseconds)
  if redis.call('PTTL', key) < milliseconds then redis.call('PEXPIRE', key, milliseconds + DAY) end
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
-- Writes an event into a stream, and publishes it where somebody has subscribed. The stream ends with its record: at
-- `expires_at`, where that has changed.
local function tell(key, record, event, expires_at)
  -- A Redis user without the right to ask publishes always; one without the right to publish fails at that alone. The
  -- stream has the event.
  local heard = redis.pcall('PUBSUB', 'NUMSUB', key)
  local is_heard = heard.err ~= nil or heard[2] > 0
  local last = (is_heard or not expires_at) and redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
  local id = redis.call('XADD', key, 'MAXLEN', 256, '*', 'e', event)
  if not last and not expires_at then expires_at = now + math.max(1, redis.call('PTTL', record)) end
  if expires_at then redis.call('PEXPIREAT', key, expires_at) end
  -- API processes subscribe to the streams that their clients follow (`jobs.follow.feed`). The id of the event before
  -- shows them a gap.
  if is_heard then redis.pcall('PUBLISH', key, (last and last[1] or '0-0') .. ' ' .. id .. ' ' .. event) end
end

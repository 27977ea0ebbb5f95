-- KEYS: named, active, bucket, owned, models, running, then for each job record, events, waiting, order, list, leases,
-- pace.
-- ARGV: what is asked, and of each job the fields of its record and those of its message.
-- Answers what became of it: admitted {limit, what is left, seconds until all is there again, ...}, quota {which, used,
-- milliseconds until the next day}, replayed {ids}, reused, rate {milliseconds}, active {how many, how
-- many of them run}, waiting {how many}, or full {job, how many, milliseconds}; nothing is written but for the first.
-- needs: keep push fair
local asked = cjson.decode(ARGV[1])
local number = #asked.jobs
if asked.fingerprint then
  local before = redis.call('GET', KEYS[1])
  if before then
    local fingerprint, ids = string.match(before, '^(%S+) (.+)$')
    -- What was erased since, a name does not stand for any more.
    local first = string.match(ids, '^%S+')
    if redis.call('EXISTS', 'job:' .. first, 'batch:' .. first) > 0 then
      if fingerprint == asked.fingerprint then return {'replayed', ids} end
      return {'reused'}
    end
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
if asked.active or asked.waiting then
  local active = redis.call('ZCARD', KEYS[2])
  redis.call('ZREMRANGEBYSCORE', KEYS[6], '-inf', now)
  local running = redis.call('ZCARD', KEYS[6])
  if asked.active and active + number > asked.active then return {'active', active, running} end
  if asked.waiting and active - running + number > asked.waiting then return {'waiting', active - running} end
end
local tokens
if asked.per_minute then
  local left, at = unpack(redis.call('HMGET', KEYS[3], 'tokens', 'at'))
  tokens = (tonumber(left) or asked.burst) + (now - (tonumber(at) or now)) * asked.per_minute / 60000
  tokens = math.min(asked.burst, tokens) - number
  if tokens < 0 then return {'rate', math.ceil(-tokens / asked.per_minute * 60000)} end
end
local day, midnight = 'usage:' .. math.floor(now / DAY), math.ceil((DAY - now % DAY) / 1000)
local left = {}
if tokens then
  left = {'edits', math.floor(tokens), math.ceil((asked.burst - tokens) / asked.per_minute * 60)}
end
if asked.quota then
  for _, each in ipairs(asked.quota) do
    local name, most, more = unpack(each)
    local used = tonumber(redis.call('HGET', day, asked.owner .. ' ' .. name) or 0)
    if used + more > most or used >= most then return {'quota', name, tostring(used), midnight * 1000} end
    for _, said in ipairs({name, math.floor(most - used - more), midnight}) do table.insert(left, said) end
  end
end
local function keys_of(index) return unpack(KEYS, 7 * index, 7 * index + 6) end
if asked.backlog then
  local waiting = {}
  for index = 1, number do
    local _, _, queued, _, _, leases, pace = keys_of(index)
    waiting[queued] = (waiting[queued] or redis.call('ZCARD', queued)) + 1
    if waiting[queued] > asked.backlog then
      local each = tonumber(redis.call('HGET', pace, 'seconds')) or 1
      local workers = math.max(1, redis.call('ZCARD', leases))
      return {'full', index, waiting[queued] - 1, math.ceil(each / workers * (waiting[queued] - asked.backlog) * 1000)}
    end
  end
end
if tokens then
  redis.call('HSET', KEYS[3], 'tokens', tokens, 'at', now)
  redis.call('PEXPIRE', KEYS[3], math.ceil(asked.burst / asked.per_minute * 60000) + 1000)
end
for _, each in ipairs(asked.quota or {}) do
  if each[3] > 0 then
    redis.call('HINCRBY', day, asked.owner .. ' ' .. each[1], each[3])
    keep(day, asked.usage_kept)
  end
end
local ids = {}
for index, job in ipairs(asked.jobs) do
  local record, events, queued, order, list, leases = keys_of(index)
  redis.call('HSET', record, unpack(job.fields))
  redis.call('PEXPIREAT', record, job.expires_at)
  redis.call('ZADD', queued, job.start_by, job.id)
  redis.call('SADD', KEYS[5], job.model)
  redis.call('ZADD', KEYS[2], job.expires_at, job.id)
  redis.call('ZADD', KEYS[4], job.created_at, job.id)
  for _, key in ipairs({queued, KEYS[5], KEYS[2], KEYS[4]}) do keep(key, job.expires_at - now) end
  if job.subject then
    -- What is over by now is left out, and the rest is named for as long as it may be kept.
    redis.call('ZREMRANGEBYSCORE', job.subject, '-inf', now)
    redis.call('ZADD', job.subject, job.expires_at, 'edit ' .. job.id)
    keep(job.subject, job.expires_at - now)
  end
  join(order, leases, list, job.line, job.message, job.message_fields)
  -- As `tell` does it: the stream is new, and nobody can have subscribed to it.
  redis.call('XADD', events, '*', 'e', 'queued')
  redis.call('PEXPIREAT', events, job.expires_at)
  ids[index] = job.id
end
if asked.batch then
  local batch = 'batch:' .. asked.batch.id
  redis.call('HSET', batch, 'about', asked.batch.about, 'left', number)
  for _, job in ipairs(asked.jobs) do
    keep(batch, job.expires_at - now)
    if asked.batch.subject then
      redis.call('ZADD', asked.batch.subject, 'GT', job.expires_at + WEEK, 'batch ' .. asked.batch.id)
      keep(asked.batch.subject, job.expires_at - now + WEEK)
    end
  end
  ids = {asked.batch.id}
end
-- What is older than any record can be is forgotten.
redis.call('ZREMRANGEBYSCORE', KEYS[4], '-inf', now - asked.oldest)
if asked.fingerprint then
  local life = asked.jobs[1].expires_at - now
  redis.call('SET', KEYS[1], asked.fingerprint .. ' ' .. table.concat(ids, ' '), 'PX', life)
  -- A client may call its requests by its subjects: the name goes when all of theirs is erased.
  local function named_for(index)
    if not index then return end
    redis.call('ZADD', index, now + life, 'name ' .. KEYS[1])
    keep(index, life)
  end
  for _, job in ipairs(asked.jobs) do named_for(job.subject) end
  if asked.batch then named_for(asked.batch.subject) end
end
return {'admitted', unpack(left)}

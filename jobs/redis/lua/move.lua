-- KEYS: record, events, waiting, leases, litter, outbox, dead, order, list, active, pace, running. ARGV: the move, the
-- fields it writes, those of a new message. Answers false where there is no record, else whether it was done, and
-- the record after it: nothing of it where it was done and the move says that nobody reads it.
-- needs: keep push fair
local function count_down(batch, outbox, move, life)
  if redis.call('EXISTS', batch) == 0 then return end
  keep(batch, life)
  if not move.ends then return end
  redis.call('HSET', batch, move.id, move.ends)
  if redis.call('HINCRBY', batch, 'left', -1) > 0 then return end
  -- From here on it is kept as long as the job that ended last.
  redis.call('HSET', batch, 'finished_at', now, 'expires_at', now + life)
  redis.call('PEXPIRE', batch, life)
  redis.call('XADD', outbox, '*', 'batch', string.sub(batch, 7), 'status', 'ended')
  tell(batch .. ':events', batch, 'ended', now + life)
end
-- What a job used, in all its attempts, is added to its owner's day: once, for an end is written once.
local function add_up(text, owner, milliseconds)
  if not text or text == 'null' then return end
  local used = cjson.decode(text)
  local names = {'edits', 'steps', 'bytes_stored', 'gpu_seconds', 'work'}
  local more = {1, used.steps, used.bytes_stored, used.gpu_seconds, used.rows * used.steps * used.megapixels}
  local day, totals = 'usage:' .. math.floor(now / DAY), {}
  for index, name in ipairs(names) do names[index] = owner .. ' ' .. name end
  for index, before in ipairs(redis.call('HMGET', day, unpack(names))) do
    table.insert(totals, names[index])
    -- As short as HINCRBYFLOAT writes the sum of two decimals.
    table.insert(totals, string.format('%.15g', (tonumber(before or nil) or 0) + more[index]))
  end
  redis.call('HSET', day, unpack(totals))
  -- No longer than is set, and written once an hour.
  if redis.call('PTTL', day) < milliseconds - DAY / 24 then redis.call('PEXPIRE', day, milliseconds) end
end
local move = cjson.decode(ARGV[1])
local function done(is_done)
  return {is_done, move.silent and is_done == 1 and {} or redis.call('HGETALL', KEYS[1])}
end
local status, execution, message, batch, line, revision, attempt, progress, usage, start_tag = unpack(redis.call(
  'HMGET', KEYS[1], 'status', 'execution', 'message', 'batch', 'line', 'revision', 'attempt', 'progress', 'usage',
  'start_tag'))
if not status then return false end
local held = move.holder == nil or move.holder == execution
local lapsed = not move.lapsed or now >= tonumber(redis.call('ZSCORE', KEYS[4], move.id) or 0)
if status ~= move.from or not held or not lapsed then
  -- Said once before, when the answer was lost on its way: it is done.
  return done(move.ends and move.holder ~= nil and held and status == move.to and 1 or 0)
end
if move.once and redis.call('HGET', KEYS[1], move.once[1]) == move.once[2] then return done(1) end
if move.progress then
  local before = progress and progress ~= 'null' and cjson.decode(progress)
  if before and before.steps == move.progress[2] and before.step >= move.progress[1] then return done(1) end
end
local fields, is_changed = {unpack(ARGV, 2, 1 + move.fields)}, move.to ~= move.from
local function write(name, value)
  table.insert(fields, name)
  table.insert(fields, value)
end
for index = 1, #fields, 2 do
  if fields[index] == 'usage' then usage = fields[index + 1] end
end
write('revision', (tonumber(revision or nil) or 0) + 1)
if move.attempts ~= 0 then write('attempt', (tonumber(attempt or nil) or 0) + move.attempts) end
if is_changed and message and message ~= 'null' and move.from == '"queued"' then
  local id = string.sub(message, 2, -2)
  line = line_of(line)
  if not move.message then write('message', 'null') end
  -- Moved by a worker, the message is RQ's to tidy up.
  if not move.lease or move.beside then withdraw(KEYS[9], KEYS[8], id) end
  if move.lease then
    local tag = begin_in_order(KEYS[8], line, id)
    if tag then write('start_tag', string.format('%.17g', tag)) end
  else
    leave_order(KEYS[8], KEYS[9], line, id)
  end
  surface(KEYS[9], KEYS[8], AT_ONCE)
end
redis.call('HSET', KEYS[1], unpack(fields))
if move.expires_at then redis.call('PEXPIREAT', KEYS[1], move.expires_at) end
local life = move.expires_at and move.expires_at - now or ((is_changed or batch) and redis.call('PTTL', KEYS[1]))
if move.ends then
  redis.call('ZREM', KEYS[10], move.id)
elseif move.expires_at then
  redis.call('ZADD', KEYS[10], 'XX', move.expires_at, move.id)
  if move.subject then
    redis.call('ZADD', move.subject, 'XX', move.expires_at, 'edit ' .. move.id)
    keep(move.subject, move.expires_at - now)
  end
end
if is_changed then
  if move.from == '"queued"' then
    redis.call('ZREM', KEYS[3], move.id)
  else
    redis.call('ZREM', KEYS[4], move.id)
    redis.call('ZREM', KEYS[12], move.id)
  end
  if move.start_by then
    redis.call('ZADD', KEYS[3], move.start_by, move.id)
    keep(KEYS[3], life)
  end
  if move.lease then
    redis.call('ZADD', KEYS[4], now + move.lease, move.id)
    redis.call('ZADD', KEYS[12], move.expires_at, move.id)
    keep(KEYS[4], life)
    keep(KEYS[12], life)
  end
end
if move.message then
  -- Where it was begun from. Records of the last version do not say where: they go before what is not begun.
  local tag = tonumber(start_tag or nil) or virtual_time(KEYS[8], KEYS[4]) - TIE
  rejoin(KEYS[8], KEYS[9], KEYS[1], move.message, tag, BEGUN, {unpack(ARGV, 2 + move.fields)})
end
for _, item in ipairs(move.litter) do
  redis.call('ZADD', KEYS[5], item[2], item[1])
  keep(KEYS[5], item[2] - now + WEEK)
end
if move.dead then
  redis.call('ZADD', KEYS[7], now, move.id)
  keep(KEYS[7], life)
end
if move.took then
  -- The last few jobs count most: what it was an hour ago says little.
  local before = tonumber(redis.call('HGET', KEYS[11], 'seconds')) or move.took
  redis.call('HSET', KEYS[11], 'seconds', before + (move.took - before) * 0.3)
  keep(KEYS[11], DAY)
end
if move.ends then
  add_up(usage, move.owner, move.usage_kept)
  redis.call('XADD', KEYS[6], 'MINID', '~', now - WEEK, '*', 'job', move.id, 'status', move.ends)
  keep(KEYS[6], WEEK)
end
if batch and batch ~= 'null' then count_down('batch:' .. string.sub(batch, 2, -2), KEYS[6], move, life) end
if move.event then tell(KEYS[2], KEYS[1], move.event, move.expires_at) end
return done(1)

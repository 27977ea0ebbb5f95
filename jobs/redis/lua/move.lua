-- KEYS: record, events, waiting, leases, litter, outbox, dead, order, list, active, pace, running. ARGV: the move, the
-- fields it writes, those of a new message. Answers false where there is no record, else whether it was done, and
-- the record after it.
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
  tell(batch .. ':events', batch, 'ended')
end
-- What a job used, in all its attempts, is added to its owner's day: once, for an end is written once.
local function add_up(record, owner, milliseconds)
  local text = redis.call('HGET', record, 'usage')
  if not text or text == 'null' then return end
  local used = cjson.decode(text)
  local day = 'usage:' .. math.floor(now / DAY)
  local work = used.rows * used.steps * used.megapixels
  redis.call('HINCRBY', day, owner .. ' edits', 1)
  redis.call('HINCRBY', day, owner .. ' steps', used.steps)
  redis.call('HINCRBY', day, owner .. ' bytes_stored', used.bytes_stored)
  redis.call('HINCRBYFLOAT', day, owner .. ' gpu_seconds', used.gpu_seconds)
  redis.call('HINCRBYFLOAT', day, owner .. ' work', work)
  keep(day, milliseconds)
end
local move = cjson.decode(ARGV[1])
local status, execution, message, batch =
  unpack(redis.call('HMGET', KEYS[1], 'status', 'execution', 'message', 'batch'))
if not status then return false end
local held = move.holder == nil or move.holder == execution
local lapsed = not move.lapsed or now >= tonumber(redis.call('ZSCORE', KEYS[4], move.id) or 0)
if status ~= move.from or not held or not lapsed then
  -- Said once before, when the answer was lost on its way: it is done.
  local done = move.ends and move.holder ~= nil and held and status == move.to
  return {done and 1 or 0, redis.call('HGETALL', KEYS[1])}
end
if move.once and redis.call('HGET', KEYS[1], move.once[1]) == move.once[2] then
  return {1, redis.call('HGETALL', KEYS[1])}
end
if move.progress then
  local text = redis.call('HGET', KEYS[1], 'progress')
  local before = text and text ~= 'null' and cjson.decode(text)
  if before and before.steps == move.progress[2] and before.step >= move.progress[1] then
    return {1, redis.call('HGETALL', KEYS[1])}
  end
end
redis.call('HSET', KEYS[1], unpack(ARGV, 2, 1 + move.fields))
redis.call('HINCRBY', KEYS[1], 'revision', 1)
if move.attempts ~= 0 then redis.call('HINCRBY', KEYS[1], 'attempt', move.attempts) end
if move.expires_at then
  redis.call('PEXPIREAT', KEYS[1], move.expires_at)
  redis.call('ZADD', KEYS[10], 'XX', move.expires_at, move.id)
  if move.subject then
    redis.call('ZADD', move.subject, 'XX', move.expires_at, 'edit ' .. move.id)
    keep(move.subject, move.expires_at - now)
  end
end
local life = redis.call('PTTL', KEYS[1])
if move.to ~= move.from then
  redis.call('ZREM', KEYS[3], move.id)
  redis.call('ZREM', KEYS[4], move.id)
  if message and message ~= 'null' and move.from == '"queued"' then
    local id = string.sub(message, 2, -2)
    if not move.message then redis.call('HDEL', KEYS[1], 'message') end
    -- Moved by a worker, the message is RQ's to tidy up.
    if not move.lease or move.beside then withdraw(KEYS[9], KEYS[8], id) end
    if move.lease then begin_in_order(KEYS[8], KEYS[1], id) else leave_order(KEYS[8], KEYS[9], KEYS[1], id) end
    surface(KEYS[9], KEYS[8])
  end
  if move.start_by then redis.call('ZADD', KEYS[3], move.start_by, move.id); keep(KEYS[3], life) end
  if move.lease then redis.call('ZADD', KEYS[4], now + move.lease, move.id); keep(KEYS[4], life) end
  if move.lease then redis.call('ZADD', KEYS[12], move.expires_at, move.id) else redis.call('ZREM', KEYS[12], move.id) end
  keep(KEYS[12], life)
end
if move.message then
  -- Where it was begun from. Records of the last version do not say where: they go before what is not begun.
  local tag = tonumber(redis.call('HGET', KEYS[1], 'start_tag') or nil) or virtual_time(KEYS[8], KEYS[4]) - TIE
  rejoin(KEYS[8], KEYS[9], KEYS[1], move.message, tag, BEGUN, {unpack(ARGV, 2 + move.fields)})
end
for _, item in ipairs(move.litter) do
  redis.call('ZADD', KEYS[5], item[2], item[1])
  keep(KEYS[5], item[2] - now + WEEK)
end
if move.dead then redis.call('ZADD', KEYS[7], now, move.id); keep(KEYS[7], life) end
if move.took then
  -- The last few jobs count most: what it was an hour ago says little.
  local before = tonumber(redis.call('HGET', KEYS[11], 'seconds')) or move.took
  redis.call('HSET', KEYS[11], 'seconds', before + (move.took - before) * 0.3)
  redis.call('PEXPIRE', KEYS[11], DAY)
end
if move.ends then
  redis.call('ZREM', KEYS[10], move.id)
  add_up(KEYS[1], move.owner, move.usage_kept)
  redis.call('XADD', KEYS[6], 'MINID', '~', now - WEEK, '*', 'job', move.id, 'status', move.ends)
  keep(KEYS[6], WEEK)
end
if batch and batch ~= 'null' then count_down('batch:' .. string.sub(batch, 2, -2), KEYS[6], move, life) end
if move.event then tell(KEYS[2], KEYS[1], move.event) end
return {1, redis.call('HGETALL', KEYS[1])}

-- Puts a message into its queue where its tag is: before the first of those still there whose tag is larger.
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
  local rank = redis.call('ZRANK', order, message)
  local later = redis.call('ZRANGE', order, rank + 1, rank + 8)
  while #later == 8 do
    for _, each in ipairs(later) do
      if redis.call('LINSERT', list, 'BEFORE', each, message) > 0 then return end
    end
    -- Workers have taken all of these, and have begun none yet.
    rank = rank + 8
    later = redis.call('ZRANGE', order, rank + 1, rank + 8)
  end
  -- A few that came at the same time stand at the end: there LINSERT would go through the whole list.
  local is_later, behind = {}, {}
  for _, each in ipairs(later) do is_later[each] = true end
  while #later > 0 and is_later[redis.call('LINDEX', list, -1)] do
    table.insert(behind, 1, redis.call('RPOP', list))
  end
  redis.call('RPUSH', list, message, unpack(behind))
end

-- KEYS: seen, outbox, due, then a `telling` per entry. ARGV: the last entry seen so far and after this, then for each
-- entry its id, its subject and the message, "" if no webhook is to be sent. Answers 0 where another was faster.
-- needs: keep
if (redis.call('GET', KEYS[1]) or '0-0') ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', WEEK)
local over = {}
for index = 4, #KEYS do
  local entry, subject, message = unpack(ARGV, 3 * (index - 4) + 3, 3 * (index - 4) + 5)
  local told = message ~= '' and redis.call('HGET', KEYS[index], 'entry')
  if message == '' or (told and told ~= entry) then
    table.insert(over, entry)
  elseif not told then
    redis.call('HSET', KEYS[index], 'entry', entry, 'message', message, 'attempts', 0)
    redis.call('PEXPIRE', KEYS[index], WEEK)
    redis.call('ZADD', KEYS[3], now, subject)
    keep(KEYS[3], WEEK)
  end
end
if #over > 0 then redis.call('XDEL', KEYS[2], unpack(over)) end
return 1

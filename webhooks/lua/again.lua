-- KEYS: record, outbox, due, telling. ARGV: subject, then as the outbox has it: what it is ("job", "batch"), its id and
-- status. Answers false where there is no record.
-- needs: keep
if redis.call('EXISTS', KEYS[1]) == 0 then return false end
if redis.call('EXISTS', KEYS[4]) == 0 then
  redis.call('XADD', KEYS[2], 'MINID', '~', now - WEEK, '*', ARGV[2], ARGV[3], 'status', ARGV[4])
  keep(KEYS[2], WEEK)
elseif redis.call('HEXISTS', KEYS[4], 'holder') == 0 then
  redis.call('ZADD', KEYS[3], 'XX', now, ARGV[1])
end
return 1

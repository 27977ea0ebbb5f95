-- KEYS: due, then a `telling` per claim. ARGV: lease, then for each claim subject and holder.
-- needs: keep
for index = 2, #KEYS do
  local subject, holder = unpack(ARGV, 2 * index - 2, 2 * index - 1)
  if redis.call('HGET', KEYS[index], 'holder') == holder then redis.call('ZADD', KEYS[1], now + ARGV[1], subject) end
end

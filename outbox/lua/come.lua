-- KEYS: due. ARGV: how many at most. Answers the subjects whose time has come.
-- needs: keep
return redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, ARGV[1])

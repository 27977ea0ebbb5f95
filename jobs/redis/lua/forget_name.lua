-- KEYS: named. Forgets what an owner calls a request, unless something of it is left: then it is another subject's too.
local before = redis.call('GET', KEYS[1])
if not before then return end
local first = string.match(before, '^%S+ (%S+)')
if redis.call('EXISTS', 'job:' .. first, 'batch:' .. first) == 0 then redis.call('DEL', KEYS[1]) end

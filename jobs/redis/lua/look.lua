-- KEYS: a batch. Answers what it is about, when it ended and is forgotten, and the state of each of its jobs, in one
-- look: of those that have ended as the batch has it, for their records may be gone.
local about, finished_at, expires_at = unpack(redis.call('HMGET', KEYS[1], 'about', 'finished_at', 'expires_at'))
if not about then return false end
local found = {about, finished_at, expires_at}
for _, id in ipairs(cjson.decode(about).edits) do
  found[#found + 1] = redis.call('HGET', KEYS[1], id)
    or string.sub(redis.call('HGET', 'job:' .. id, 'status') or '"expired"', 2, -2)
end
return found

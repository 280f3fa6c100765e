-- Say to whom a challenge goes that was held: from now on a code may be put into it.
-- KEYS[1]  the record of the challenge
-- ARGV[1]  the id of the send that held it
-- ARGV[2]  its sealed contents
-- Returns  1, or 0: another send has begun since, it is directed already, or it is not there any more
-- Atomic because a later send must not get what was found out for an earlier one.
-- Must not run twice: the second finds nothing that is held.
local record = redis.call('HMGET', KEYS[1], 'state', 'send')
if record[1] ~= 'held' or record[2] ~= ARGV[1] then
  return 0
end
redis.call('HSET', KEYS[1], 'state', 'pending', 'sealed', ARGV[2])
return 1

-- Take back what could not be sent: the challenge and its place in what was sent lately; or its code alone.
-- KEYS[1]  the record of the challenge
-- KEYS[2]  what was sent lately (otp_issue)
-- ARGV[1]  the id of the send that is meant
-- ARGV[2]  "1": only the code, so that a worker may put in another
-- Returns  1, or 0: another code was sent since, or this one was used, and nothing is done
-- Atomic because a resend may be under way. May run twice.
local record = redis.call('HMGET', KEYS[1], 'state', 'send')
if record[2] ~= ARGV[1] or record[1] == 'spent' then
  return 0
end
if ARGV[2] == '1' then
  redis.call('HSET', KEYS[1], 'state', 'pending')
  redis.call('HDEL', KEYS[1], 'digest')
else
  redis.call('DEL', KEYS[1])
  redis.call('ZREM', KEYS[2], ARGV[1])
end
return 1

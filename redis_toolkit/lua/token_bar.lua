-- End a token: at once, or in a while.
-- KEYS[1]  the token, as in token_take
-- ARGV[1]  the time, as in token_take
-- ARGV[2]  microseconds that it has left at most, and is not renewed any more; 0: it ends at once
-- ARGV[3]  milliseconds for which it is known that it was ended
-- Returns  1 if there was such a token, 0 if not
-- Atomic because who reads its row meanwhile may not put it back, and who uses it may not renew it. May run twice, and
-- never gives a token more time.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = math.abs(now)
-- (What somebody else has put here, of whatever type, is no token, and goes.)
local had = redis.pcall('HGET', KEYS[1], 'e')
local ends = type(had) == 'string' and tonumber(had) or -1
local left = tonumber(ARGV[2])
if left == 0 or ends < 0 then
  redis.call('UNLINK', KEYS[1])
  redis.call('HSET', KEYS[1], 'x', '1')
  redis.call('PEXPIRE', KEYS[1], ARGV[3])
elseif ends == 0 or now + left < ends then
  redis.call('HSET', KEYS[1], 'e', string.format('%.0f', now + left), 'r', '1')
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(left / 1000) + longer))
else
  redis.call('HSET', KEYS[1], 'r', '1')
end
return ends < 0 and 0 or 1

-- Take one of so many places, or keep one that is held: how many may be at work at once.
-- KEYS[1]  the holders: a sorted set, each with the time at which its lease ends
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  the holder's id
-- ARGV[3]  how many places there are
-- ARGV[4]  how long a lease lasts, in microseconds
-- ARGV[5]  "1" to keep a lease that has not ended, "0" to take one
-- Returns  {1 or 0: whether it is held now, places left, microseconds until the first lease ends (0: none is held)}
-- Atomic because the last place goes to one. May run twice: a holder holds one place.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = math.abs(now)
local holder, places, life = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local since = '(' .. string.format('%.0f', now)
local held = redis.call('ZCOUNT', KEYS[1], since, '+inf')
local own = tonumber(redis.call('ZSCORE', KEYS[1], holder) or 0) > now
local is_held = own or (ARGV[5] == '0' and held < places)
if is_held then
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
  redis.call('ZADD', KEYS[1], string.format('%.0f', now + life), holder)
  -- (Others may have longer leases: since a deployment, or elsewhere under the same name.)
  local last = math.max(redis.call('PTTL', KEYS[1]), math.ceil(life / 1000) + longer)
  redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last))
  held = held + (own and 0 or 1)
end
local first = redis.call('ZRANGEBYSCORE', KEYS[1], since, '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
return {is_held and 1 or 0, math.max(0, places - held), first[2] and tonumber(first[2]) - now or 0}

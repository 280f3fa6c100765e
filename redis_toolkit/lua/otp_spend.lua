#!lua
-- Take one send of a budget: of an address, a destination, a country, or of all.
-- KEYS[1]  what was taken: a sorted set of ids, each with its time
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  the id of the send
-- ARGV[3]  how many there are in ARGV[4] microseconds
-- Returns  0: it was taken, or microseconds until there is one again
-- (With its first line a server that is full refuses it as a whole: nothing is sent that could not be tried then.)
-- Atomic because the last one goes to one. May run twice: a send is known by its id.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 600000 or 0
now = math.abs(now)
local limit, period = tonumber(ARGV[3]), tonumber(ARGV[4])
if redis.call('ZSCORE', KEYS[1], ARGV[2]) then
  return 0
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now - period))
local taken = redis.call('ZCARD', KEYS[1])
if taken >= limit then
  local first = redis.call('ZRANGE', KEYS[1], taken - limit, taken - limit, 'WITHSCORES')[2]
  return math.max(1, math.min(period, tonumber(first) + period - now))
end
redis.call('ZADD', KEYS[1], string.format('%.0f', now), ARGV[2])
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil(period / 1000) + longer))
return 0

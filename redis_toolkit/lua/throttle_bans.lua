-- Put a ban on the list that people read, and take off it what is over and what is too much.
-- KEYS[1]  the list: a sorted set of who is banned, each with the time at which the ban ends
-- KEYS[2]  who they are for people: a hash by the members of the list; both of one hash tag
-- ARGV[1]  the time in seconds since the epoch
-- ARGV[2]  when the ban ends
-- ARGV[3]  who is banned, as it stands in the list
-- ARGV[4]  who that is for people
-- ARGV[5]  most members of the list: those that end first are taken off
-- ARGV[6]  seconds that both keys live
-- Returns  how many were taken off
-- Atomic because what is taken off one key must be taken off the other. May run twice.
local gone = 0

local function take_off(members)
  redis.call('ZREM', KEYS[1], unpack(members))
  redis.call('HDEL', KEYS[2], unpack(members))
  gone = gone + #members
end

-- (A thousand at a time: what unpack can take is bounded.)
local function take_off_all(...)
  local found = redis.call(...)
  while #found > 0 do
    take_off(found)
    found = redis.call(...)
  end
end

redis.call('ZADD', KEYS[1], ARGV[2], ARGV[3])
redis.call('HSET', KEYS[2], ARGV[3], ARGV[4])
take_off_all('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[1], 'LIMIT', 0, 1000)
take_off_all('ZREVRANGE', KEYS[1], ARGV[5], ARGV[5] + 999)
redis.call('EXPIRE', KEYS[1], ARGV[6])
redis.call('EXPIRE', KEYS[2], ARGV[6])
return gone

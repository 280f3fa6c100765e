#!lua
-- Begin a challenge, or put a new code into one that lives (a resend), if a code may be sent now.
-- KEYS[1]  the record: a hash that lives as long as the challenge
-- KEYS[2]  the failures of the subject: of each lane <lane> how many, and in <lane>! until when it is locked
-- KEYS[3]  what was sent lately: a sorted set of ids, each with its time
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  the lane in which wrong codes will be counted; a stranger's begins with "s", and "*" is all strangers together
-- ARGV[3]  the id of this send
-- ARGV[4]  microseconds from one send to the next
-- ARGV[5]  how many may be sent (0: any number), and ARGV[6] in how many microseconds
-- ARGV[7]  how long the challenge lives, in microseconds
-- ARGV[8]  "1": a resend, so the record has to be there, not spent, and bound as it was
-- ARGV[9]  what it is bound to; empty: nothing
-- ARGV[10] and on: further fields of the record and their values
-- Returns  {0 sent, 1 locked, 2 too soon, 3 too many or 4 not there; microseconds to wait}
-- (With its first line a server that is full refuses it as a whole: nothing is sent that could not be tried then.)
-- Atomic because of all who ask at once one is sent a code. May run twice: a send is known by its id.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 600000 or 0
now = math.abs(now)
local function whole(number)
  return string.format('%.0f', number)
end
local lane, id = ARGV[2], ARGV[3]
local cooldown, limit, period, life = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
if redis.call('ZSCORE', KEYS[3], id) then
  return {0, 0}
end
local before = redis.call('HMGET', KEYS[1], 'state', 'until', 'binding')
if ARGV[8] == '1' then
  local lives = before[1] and before[1] ~= 'spent' and tonumber(before[2]) > now
  if not lives or (before[3] ~= '' and before[3] ~= ARGV[9]) then
    return {4, 0}
  end
end
local locks = redis.call('HMGET', KEYS[2], lane .. '!', string.sub(lane, 1, 1) == 's' and '*!' or '-')
local locked = math.max(tonumber(locks[1] or 0), tonumber(locks[2] or 0))
if locked > now then
  return {1, locked - now}
end
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', whole(now - math.max(period, cooldown)))
local last = redis.call('ZRANGE', KEYS[3], -1, -1, 'WITHSCORES')[2]
if last and tonumber(last) + cooldown > now then
  return {2, math.min(cooldown, tonumber(last) + cooldown - now)}
end
if limit > 0 then
  local since = '(' .. whole(now - period)
  local sent = redis.call('ZCOUNT', KEYS[3], since, '+inf')
  if sent >= limit then
    local first = redis.call('ZRANGEBYSCORE', KEYS[3], since, '+inf', 'WITHSCORES', 'LIMIT', sent - limit, 1)[2]
    return {3, math.min(period, tonumber(first) + period - now)}
  end
end
redis.call('ZADD', KEYS[3], whole(now), id)
redis.call('PEXPIRE', KEYS[3], whole(math.ceil(math.max(period, cooldown, life) / 1000) + longer))
redis.call('DEL', KEYS[1])
redis.call(
  'HSET', KEYS[1], 'until', whole(now + life), 'made', whole(now), 'attempts', 0, 'lane', lane, 'send', id,
  'binding', ARGV[9], unpack(ARGV, 10)
)
redis.call('PEXPIRE', KEYS[1], whole(math.ceil(life / 1000) + longer))
return {0, 0}

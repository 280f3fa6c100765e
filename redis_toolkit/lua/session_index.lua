-- Note that a user has a session, and until when at most; say which are too many.
-- KEYS[1]  the user's sessions: a sorted set, each with the time at which it ends at the latest, in milliseconds. Members
--          begin with the moment of the log-in, so their order is that of their age
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  how long the session lasts, in milliseconds    ARGV[3]  the session
-- ARGV[4]  most sessions that may be; empty: no bound    ARGV[5]  "refuse" one too many; otherwise the oldest are told
-- ARGV[6]  what it takes the place of, or empty. (What begins with "~" is a place that is kept for somebody.)
-- Returns  {2 if it is noted now, 1 if it was before, 0 where it was refused; those that are too many...}. What is told is not removed: first it has to end.
-- Atomic because the last place goes to one. May run twice: a session has one place.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = math.floor(math.abs(now) / 1000)
local life, member, limit = tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now))
local score = redis.call('ZSCORE', KEYS[1], member)
if limit and ARGV[5] == 'refuse' and not score and redis.call('ZCARD', KEYS[1]) >= limit then
  return {0}
end
if ARGV[6] ~= '' then
  redis.call('ZREM', KEYS[1], ARGV[6])
end
-- (A rule of a shorter life must not make an index end before what it names.)
redis.call('ZADD', KEYS[1], 'GT', string.format('%.0f', now + math.ceil(life)), member)
local last = math.max(redis.call('PTTL', KEYS[1]), math.ceil(life) + longer)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', last))
local told = {score and 1 or 2}
if limit and ARGV[5] ~= 'refuse' then
  local members = {}
  for _, each in ipairs(redis.call('ZRANGE', KEYS[1], 0, -1)) do
    if string.sub(each, 1, 1) ~= '~' then
      members[#members + 1] = each
    end
  end
  table.sort(members)
  local many = #members - limit
  for _, each in ipairs(members) do
    if many > 0 and each ~= member then
      told[#told + 1] = each
      many = many - 1
    end
  end
end
return told

-- Put a new token among those of its user, if there may be one more; or in the place of another.
-- KEYS[1]  the user's handles: a sorted set, each with the latest time at which its token ends, in microseconds
-- KEYS[2]  their tokens: a hash, by handle "digest made", and " r" behind that of one that was replaced. Here stands
--          every token of which somebody has the text, till it is known to be gone
-- ARGV[1]  the time, as in token_take
-- ARGV[2]  the new handle
-- ARGV[3]  the new digest
-- ARGV[4]  microseconds after which the new one ends at the latest
-- ARGV[5]  how many tokens there may be; 0: no bound
-- ARGV[6]  "1" to let the oldest go where there is no place
-- ARGV[7]  the handle that is replaced, or empty
-- ARGV[8]  microseconds that the one that is replaced has left at most
-- Returns  {1, handle, digest, …} with those that have to go, or the one that is replaced; {0} if there is no place;
--          {-1} if the one to be replaced is not there or was replaced before
-- Atomic because the last place goes to one, and a token is replaced once. Must not run twice.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = math.abs(now)
local function text(number)
  return string.format('%.0f', number)
end
local handle, digest, ends = ARGV[2], ARGV[3], now + tonumber(ARGV[4])
local limit, old, left = tonumber(ARGV[5]), ARGV[7], tonumber(ARGV[8])
for _, gone in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', text(now))) do
  -- (One that was replaced may have an end of its own that is later: it stays till it is known to be gone.)
  local entry = redis.call('HGET', KEYS[2], gone)
  if entry and string.sub(entry, -2) ~= ' r' then
    redis.call('HDEL', KEYS[2], gone)
  end
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text(now))
local count = redis.call('ZCARD', KEYS[1])
local answer = {1}
if old ~= '' then
  local score, entry = redis.call('ZSCORE', KEYS[1], old), redis.call('HGET', KEYS[2], old)
  if not score or not entry or string.sub(entry, -2) == ' r' then
    return {-1}
  end
  if limit > 0 and count > limit then
    return {0}
  end
  redis.call('HSET', KEYS[2], old, entry .. ' r')
  redis.call('ZADD', KEYS[1], text(math.min(tonumber(score), now + left)), old)
  answer = {1, old, string.match(entry, '^%S+')}
elseif limit > 0 and count >= limit then
  if ARGV[6] ~= '1' then
    return {0}
  end
  local every, oldest = redis.call('HGETALL', KEYS[2]), {}
  for at = 1, #every, 2 do
    if redis.call('ZSCORE', KEYS[1], every[at]) then
      local its, made = string.match(every[at + 1], '^(%S+) (%d+)')
      table.insert(oldest, {every[at], its, tonumber(made)})
    end
  end
  table.sort(oldest, function(one, other) return one[3] < other[3] end)
  for at = 1, math.min(count - limit + 1, #oldest) do
    -- (The hash keeps it till its token is gone: who dies before that leaves it to who comes next.)
    redis.call('ZREM', KEYS[1], oldest[at][1])
    table.insert(answer, oldest[at][1])
    table.insert(answer, oldest[at][2])
  end
end
redis.call('ZADD', KEYS[1], text(ends), handle)
redis.call('HSET', KEYS[2], handle, digest .. ' ' .. text(now))
local last = text(math.max(redis.call('PTTL', KEYS[1]), redis.call('PTTL', KEYS[2]), math.ceil((ends - now) / 1000) + longer))
redis.call('PEXPIRE', KEYS[1], last)
redis.call('PEXPIRE', KEYS[2], last)
return answer

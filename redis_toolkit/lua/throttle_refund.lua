-- Give back what a check has charged: a log-in that went well, a job that did not run.
-- KEYS[1], KEYS[2], …  one for each rate, all of one hash tag
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  0 to 2^32 - 1: where the windows of this identity begin, as a share of the period
-- then     four for each: kind ("g", "f", "c", "l"), limit, period in microseconds, how much
-- Returns  the number of keys in which something was given back. What has run out of itself is not.
-- Atomic because the state is read and written. Must not run twice: that would give back twice.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = math.abs(now)
local share = tonumber(ARGV[2]) / 4294967296

local function numbers(text)
  local found = {}
  for each in string.gmatch(text or '', '%-?%d+') do
    found[#found + 1] = tonumber(each)
  end
  return found
end

local function keep(key, ...)
  local pattern = string.rep('%.0f ', select('#', ...))
  -- (Not KEEPTTL: a key that ran out meanwhile must not come back without a life.)
  local life = redis.call('PTTL', key)
  if life > 0 then
    redis.call('SET', key, string.format(pattern, ...), 'PX', life)
  end
end

local refunds = {}

function refunds.g(key, limit, period, much)
  local full = numbers(redis.call('GET', key))[1]
  if not full or full <= now then
    return false
  end
  full = full - much * math.ceil(period / limit)
  if full <= now then
    redis.call('DEL', key)
  else
    redis.call('SET', key, string.format('%.0f', full), 'PX', string.format('%.0f', math.ceil((full - now) / 1000) + longer))
  end
  return true
end

function refunds.f(key, _, period, much)
  local known = numbers(redis.call('GET', key))
  local ends = now - (now - math.floor(period * share)) % period + period
  if known[1] ~= ends then
    return false
  end
  keep(key, ends, math.max(0, known[2] - much))
  return true
end

function refunds.c(key, _, period, much)
  local known = numbers(redis.call('GET', key))
  local began = now - (now - math.floor(period * share)) % period
  -- What was charged in the window before is given back there.
  if known[1] == began then
    local here = math.min(much, known[2])
    keep(key, began, known[2] - here, math.max(0, known[3] - (much - here)))
  elseif known[1] == began - period then
    keep(key, known[1], math.max(0, known[2] - much), known[3])
  else
    return false
  end
  return true
end

function refunds.l(key, _, period, much)
  local since = '(' .. string.format('%.0f', now - period)
  local newest = redis.call('ZREVRANGEBYSCORE', key, string.format('%.0f', now), since, 'LIMIT', 0, much)
  if #newest == 0 then
    return false
  end
  redis.call('ZREM', key, unpack(newest))
  return true
end

local given = 0
for at = 1, #KEYS do
  local from = 2 + (at - 1) * 4
  local limit = tonumber(ARGV[from + 2])
  if limit > 0 and refunds[ARGV[from + 1]](KEYS[at], limit, tonumber(ARGV[from + 3]), tonumber(ARGV[from + 4])) then
    given = given + 1
  end
end
return given

-- Check one identity against several rates, and charge them: all of them, if all allow it, or none.
-- KEYS[1], KEYS[2], …  one for each entry, all of one hash tag: what is known of the identity under a rate, or of its ban
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  "1" to charge, "0" to look only
-- ARGV[3]  0 to 2^32 - 1: where the windows of this identity begin, as a share of the period
-- then     eight for each entry: kind, rule, shadow, and
--          for "g" (GCRA), "f" (fixed window), "c" (sliding counter), "l" (sliding log):
--            limit, period in microseconds, burst, cost, punitive ("1": what is denied is charged, too)
--          for "b" (ban), the last of its rule: strikes, and in microseconds within, length, longest, memory
--          Entries of a rule with shadow "1" are decided by themselves, and hinder nobody.
-- Returns  four integers for each entry: 1 allowed, 0 denied (2, of a ban: from now on); what remains; microseconds until
--          the same is allowed (-1: never); microseconds until nothing is remembered.
-- Atomic because two callers must not both take the last unit. May run twice: then the second is charged as well.
-- Integers below 2^53 only. `tostring` and `..` would round them: `%.0f` does not.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = math.abs(now)
local charges = ARGV[2] == '1'
local share = tonumber(ARGV[3]) / 4294967296

local function numbers(text)
  local found = {}
  for each in string.gmatch(text or '', '%-?%d+') do
    found[#found + 1] = tonumber(each)
  end
  return found
end

local function put(key, life, ...)
  -- Set with its life in one command, so that nothing is ever without one.
  local pattern = string.rep('%.0f ', select('#', ...))
  redis.call('SET', key, string.format(pattern, ...), 'PX', string.format('%.0f', math.max(1, math.ceil(life / 1000)) + longer))
end

local function begin(e)
  -- The beginning of the window of now.
  return now - (now - math.floor(e.period * share)) % e.period
end

local kinds = {}

-- GCRA: "when would the bucket be full again" is all that is kept. ITU-T I.371; B. Stucke, redis-cell.
kinds.g = {
  read = function(e)
    e.gap = math.ceil(e.period / e.limit)
    e.room = e.burst * e.gap
    e.full = math.max(tonumber(redis.call('GET', e.key) or 0), now)
    -- No bucket is emptier than empty: the clock was set back, or is another server's. That must not lock anybody out.
    if e.full > now + e.limit * e.gap + 1000000 then
      e.full = now
    end
    local over = e.full + e.cost * e.gap - e.room - now
    e.allowed = over <= 0
    e.retry = e.cost > e.burst and -1 or over
  end,
  charge = function(e)
    -- (What is denied and charged all the same never counts for more than a full bucket.)
    e.full = math.min(e.full + e.cost * e.gap, math.max(e.full, now + e.room))
    local life = math.max(1, math.ceil((e.full - now) / 1000)) + longer
    redis.call('SET', e.key, string.format('%.0f', e.full), 'PX', string.format('%.0f', life))
  end,
  rest = function(e)
    return math.max(0, math.floor((e.room - (e.full - now)) / e.gap)), e.full - now
  end,
}

kinds.f = {
  read = function(e)
    local known = numbers(redis.call('GET', e.key))
    e.ends = begin(e) + e.period
    e.count = known[1] == e.ends and known[2] or 0
    e.allowed = e.count + e.cost <= e.limit
    e.retry = e.cost > e.limit and -1 or e.ends - now
  end,
  charge = function(e)
    e.count = math.min(e.count + e.cost, math.max(e.count, e.limit))
    put(e.key, e.ends - now, e.ends, e.count)
  end,
  rest = function(e)
    return math.max(0, e.limit - e.count), e.count > 0 and e.ends - now or 0
  end,
}

-- Of the window before counts what a window of full length, ending now, still has in common with it. In milliseconds:
-- limit times period must stay exact.
kinds.c = {
  read = function(e)
    local known = numbers(redis.call('GET', e.key))
    e.began = begin(e)
    e.count, e.before = 0, 0
    if known[1] == e.began then
      e.count, e.before = known[2], known[3]
    elseif known[1] == e.began - e.period then
      e.before = known[2]
    end
    e.length = e.period / 1000
    e.left = e.length - math.floor((now - e.began) / 1000)
    local free = e.limit - e.count - e.cost
    e.allowed = e.before * e.left <= free * e.length
    if e.cost > e.limit then
      e.retry = -1
    elseif free >= 0 then
      e.retry = e.began + (e.length - math.floor(free * e.length / e.before)) * 1000 - now
    else
      e.retry = e.began + e.period + (e.length - math.floor((e.limit - e.cost) * e.length / e.count)) * 1000 - now
    end
  end,
  charge = function(e)
    e.count = math.min(e.count + e.cost, math.max(e.count, e.limit))
    put(e.key, e.began + 2 * e.period - now, e.began, e.count, e.before)
  end,
  rest = function(e)
    local free = math.floor((e.limit * e.length - e.before * e.left) / e.length) - e.count
    local ends = e.count > 0 and 2 or (e.before > 0 and 1 or nil)
    return math.max(0, free), ends and e.began + ends * e.period - now or 0
  end,
}

-- Each unit of the last period by its time. (What is later than now is of a clock that was set back since.)
kinds.l = {
  read = function(e)
    e.since = '(' .. string.format('%.0f', now - e.period)
    e.moment = string.format('%.0f', now)
    e.count = redis.call('ZCOUNT', e.key, e.since, e.moment)
    local over = e.count + e.cost - e.limit
    e.allowed = over <= 0
    e.retry = -1
    if over > 0 and e.cost <= e.limit then
      local last = redis.call('ZRANGEBYSCORE', e.key, e.since, e.moment, 'WITHSCORES', 'LIMIT', over - 1, 1)
      e.retry = tonumber(last[2]) + e.period - now
    end
  end,
  charge = function(e)
    redis.call('ZREMRANGEBYSCORE', e.key, '-inf', string.format('%.0f', now - e.period))
    redis.call('ZREMRANGEBYSCORE', e.key, '(' .. e.moment, '+inf')
    local name = e.count
    for _ = 1, math.min(e.cost, e.limit) do
      -- (Names of this very moment may be taken: where time stands still, and something was given back.)
      repeat
        name = name + 1
      until redis.call('ZADD', e.key, 'NX', e.moment, e.moment .. '-' .. name) == 1
    end
    redis.call('ZREMRANGEBYRANK', e.key, 0, -e.limit - 1)
    redis.call('PEXPIRE', e.key, string.format('%.0f', math.ceil(e.period / 1000) + longer))
    e.count = math.min(e.count + e.cost, e.limit)
  end,
  rest = function(e)
    local newest = redis.call('ZREVRANGEBYSCORE', e.key, e.moment, e.since, 'WITHSCORES', 'LIMIT', 0, 1)
    return math.max(0, e.limit - e.count), newest[2] and tonumber(newest[2]) + e.period - now or 0
  end,
}

-- A ban: until when, how many in a row, strikes since when. Each is twice as long as the one before, until it is forgotten.
kinds.b = {
  read = function(e)
    local known = numbers(redis.call('GET', e.key))
    e.until_, e.level, e.strikes, e.since = known[1] or 0, known[2] or 0, known[3] or 0, known[4] or 0
    e.allowed = e.until_ <= now
    e.retry = e.until_ - now
  end,
  strike = function(e)
    if now - e.since >= e.within then
      e.strikes, e.since = 0, now
    end
    if now >= e.until_ + e.memory then
      e.level = 0
    end
    e.strikes = e.strikes + 1
    if e.strikes >= e.most then
      e.until_ = now + math.min(e.length * 2 ^ math.min(e.level, 40), e.longest)
      e.level, e.strikes, e.since = e.level + 1, 0, 0
      e.retry = e.until_ - now
      e.begins = true
    end
    local life = math.max(e.since + e.within, e.level > 0 and e.until_ + e.memory or 0) - now
    put(e.key, life, e.until_, e.level, e.strikes, e.since)
  end,
  rest = function(e)
    return math.max(0, e.most - e.strikes), math.max(0, e.until_ - now)
  end,
}

local entries = {}
-- Whether all entries of a group allow it, and all rates of a rule.
local group_allows, rule_allows, banned = {}, {}, {}
for at = 1, #KEYS do
  local from = 3 + (at - 1) * 8
  local e = {key = KEYS[at], kind = kinds[ARGV[from + 1]], rule = ARGV[from + 2]}
  e.group = ARGV[from + 3] == '1' and e.rule or ''
  local a, b, c = tonumber(ARGV[from + 4]), tonumber(ARGV[from + 5]), tonumber(ARGV[from + 6])
  local d, f = tonumber(ARGV[from + 7]), tonumber(ARGV[from + 8])
  if ARGV[from + 1] == 'b' then
    e.most, e.within, e.length, e.longest, e.memory = a, b, c, d, f
  else
    e.limit, e.period, e.burst, e.cost, e.punitive = a, b, c, d, f == 1
  end
  if e.limit == 0 then
    e.allowed, e.retry = false, -1
  else
    e.kind.read(e)
  end
  if not e.allowed then
    group_allows[e.group] = false
    if e.most then
      banned[e.rule] = true
    else
      rule_allows[e.rule] = false
    end
  end
  entries[at] = e
end

local answer = {}
for _, e in ipairs(entries) do
  if charges and e.limit ~= 0 then
    if e.most then
      if rule_allows[e.rule] == false and not banned[e.rule] then
        e.kind.strike(e)
      end
    elseif group_allows[e.group] ~= false then
      e.kind.charge(e)
    elseif e.punitive and not e.allowed and not banned[e.rule] then
      e.kind.charge(e)
      -- How long it takes after that. (Denied it was, even if what is kept is less than before: of a lowered limit.)
      e.kind.read(e)
      if e.allowed then
        e.allowed, e.retry = false, 0
      end
    end
  end
  local rest, reset = 0, 0
  if e.limit ~= 0 then
    rest, reset = e.kind.rest(e)
  end
  answer[#answer + 1] = e.begins and 2 or (e.allowed and 1 or 0)
  answer[#answer + 1] = rest
  answer[#answer + 1] = e.allowed and not e.begins and 0 or e.retry
  answer[#answer + 1] = reset
end
return answer

-- Check one identity against several rates by GCRA, and charge them: all of them, if all allow it, or none. What
-- `throttle_check` does for rules that are GCRA and nothing else, which are most; it takes half the time.
-- KEYS[1], KEYS[2], …  one for each rate, all of one hash tag: when its bucket will be full again
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  "1" to charge, "0" to look only
-- then     four for each rate, in microseconds: the gap between two units, a whole bucket, what is asked for, and the
--          largest bucket there may have been
-- Returns  four integers for each rate: 1 allowed, 0 denied; what remains; microseconds until the same is allowed (-1:
--          never); microseconds until nothing is remembered.
-- Atomic because two callers must not both take the last unit. May run twice: then the second is charged as well.
-- ITU-T I.371; B. Stucke, redis-cell. Integers below 2^53 only. `tostring` and `..` would round them: `%.0f` does not.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = math.abs(now)
local known = #KEYS == 1 and {redis.call('GET', KEYS[1])} or redis.call('MGET', unpack(KEYS))
local charges = ARGV[2] == '1'
for at = 1, #KEYS do
  known[at] = math.max(tonumber(known[at] or 0), now)
  -- No bucket is emptier than empty: the clock was set back, or is another server's. That must not lock anybody out.
  if known[at] > now + ARGV[at * 4 + 2] then
    known[at] = now
  end
  if known[at] + ARGV[at * 4 + 1] - ARGV[at * 4] > now then
    charges = false
  end
end
local answer = {}
for at = 1, #KEYS do
  local full, gap, room, cost = known[at], ARGV[at * 4 - 1] + 0, ARGV[at * 4] + 0, ARGV[at * 4 + 1] + 0
  local over = full + cost - room - now
  if charges then
    full = full + cost
    local life = math.max(1, math.ceil((full - now) / 1000)) + longer
    redis.call('SET', KEYS[at], string.format('%.0f', full), 'PX', string.format('%.0f', life))
  end
  answer[at * 4 - 3] = over <= 0 and 1 or 0
  answer[at * 4 - 2] = math.max(0, math.floor((room - (full - now)) / gap))
  answer[at * 4 - 1] = over <= 0 and 0 or (cost > room and -1 or over)
  answer[at * 4] = full - now
end
return answer

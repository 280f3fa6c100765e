-- Try a code: count the attempt, compare, and consume what was right.
-- KEYS[1]  the record of the challenge
-- KEYS[2]  the failures of the subject (otp_issue)
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still
-- ARGV[2]  what the code is bound to; empty: nothing
-- ARGV[3]  how many failures of all strangers lock them all out, and ARGV[4] for how many microseconds
-- ARGV[5]  for how many milliseconds failures are remembered
-- ARGV[6]  how many tiers there are; then of each: so many failures, and the microseconds that a lock then takes
-- ARGV[…]  the rest: names of peppers, each with the digest that the code has by it
-- Returns  {status, attempts left, microseconds that it is locked (0: it is not), the sealed contents of one that was right}
--          status: "ok", "wrong", "expired", "spent" or "locked". A wrong one that has begun a lock tells its length
-- Atomic because an attempt is counted before it is compared, and who is right first is the only one who ever is.
-- Must not run twice: the second would find the code spent.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
now = math.abs(now)
local function whole(number)
  return string.format('%.0f', number)
end
local record = redis.call(
  'HMGET', KEYS[1], 'state', 'until', 'lane', 'attempts', 'max', 'binding', 'pepper', 'digest', 'sealed'
)
local state, lane = record[1], record[3]
if not state or tonumber(record[2]) <= now then
  return {'expired', 0, 0, ''}
end
if state == 'spent' then
  return {'spent', 0, 0, ''}
end
local strange = string.sub(lane, 1, 1) == 's'
local left = tonumber(record[5]) - tonumber(record[4])
local locks = redis.call('HMGET', KEYS[2], lane .. '!', strange and '*!' or '-')
local locked = math.max(tonumber(locks[1] or 0), tonumber(locks[2] or 0))
if locked > now then
  return {'locked', math.max(0, left), locked - now, ''}
end
if left <= 0 then
  return {'spent', 0, 0, ''}
end
left = tonumber(record[5]) - redis.call('HINCRBY', KEYS[1], 'attempts', 1)
local tiers = tonumber(ARGV[6])
-- (Compared in any case, so that what is held for nobody takes as long.)
local right = false
for at = 7 + 2 * tiers, #ARGV, 2 do
  right = right or (ARGV[at] == record[7] and ARGV[at + 1] == record[8])
end
if right and state == 'armed' and (record[6] == '' or record[6] == ARGV[2]) then
  -- What is left of it says that it was used, for as long as it would have lived.
  redis.call('HSET', KEYS[1], 'state', 'spent')
  redis.call('HDEL', KEYS[1], 'digest', 'sealed', 'binding')
  redis.call('HDEL', KEYS[2], lane, lane .. '!')
  if strange then
    redis.call('HDEL', KEYS[2], '*', '*!')
  end
  return {'ok', left, 0, record[9]}
end
local wait = 0
local failures = redis.call('HINCRBY', KEYS[2], lane, 1)
local first, last = tonumber(ARGV[7]), tonumber(ARGV[5 + 2 * tiers])
if failures >= last or failures % first == 0 then
  for at = 7, 5 + 2 * tiers, 2 do
    wait = failures >= tonumber(ARGV[at]) and tonumber(ARGV[at + 1]) or wait
  end
end
if wait > 0 then
  redis.call('HSET', KEYS[2], lane .. '!', whole(now + wait))
end
if strange and redis.call('HINCRBY', KEYS[2], '*', 1) >= tonumber(ARGV[3]) then
  wait = math.max(wait, tonumber(ARGV[4]))
  redis.call('HSET', KEYS[2], '*!', whole(now + tonumber(ARGV[4])))
end
redis.call('PEXPIRE', KEYS[2], ARGV[5])
return {'wrong', left, wait, ''}

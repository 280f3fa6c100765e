-- Whose token it is: whether it is there and has not ended; its use is written down, and it is renewed.
-- KEYS[1]  the token: a hash. u user, h handle, n name, s scopes, c made, e ends (0: never), l last used (0: never),
--          t its ttl, a the latest it may be renewed to (0: it is not renewed), g till when what is here may be believed
--          (0: it is the truth), all of the time in microseconds; m the seal of all but e and l, which Python makes and
--          looks at; r: it was replaced, and is not renewed any more.
--          Or w: somebody reads its row, under this id; or x: it was revoked, or its row is being changed
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  microseconds within which a use is written down once
-- ARGV[3]  "1" to renew what may be renewed
-- ARGV[4]  empty: what is here is the truth. Else the id under which the caller will read the row if it is not here
-- ARGV[5]  milliseconds for which that id is good
-- Returns  {1, what was written down: 0, 1 its use, 2 its new end, 3 both; u, h, n, s, c, e, l, t, a, g, m}; or what is
--          wrong: {0} it is not here, {0, the time} and the row is waited for; {-1} it has ended, {-2} it was revoked
-- Atomic because a token that has been revoked may not be written to. May run twice: the second use is not written down,
-- and the row is not waited for.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = math.abs(now)
local found = redis.call('HMGET', KEYS[1], 'u', 'h', 'n', 's', 'c', 'e', 'l', 't', 'a', 'g', 'm', 'r', 'x')
if found[13] then
  return {-2}
end
local good = tonumber(found[10] or '0')
if found[1] and good > 0 and good <= now then
  -- (Its key should be gone; somebody has given it more time.)
  redis.call('UNLINK', KEYS[1])
  found[1] = false
end
if not found[1] then
  if ARGV[4] ~= '' and redis.call('EXISTS', KEYS[1]) == 0 then
    redis.call('HSET', KEYS[1], 'w', ARGV[4])
    redis.call('PEXPIRE', KEYS[1], ARGV[5])
    return {0, string.format('%.0f', now)}
  end
  return {0}
end
local ends, last, life, latest = tonumber(found[6]), tonumber(found[7]), tonumber(found[8]), tonumber(found[9])
if ends > 0 and ends <= now then
  return {-1}
end
local interval = tonumber(ARGV[2])
local written = 0
if last == 0 or now - last >= interval then
  written = 1
  found[7] = string.format('%.0f', now)
  redis.call('HSET', KEYS[1], 'l', found[7])
end
if ARGV[3] == '1' and latest > 0 and ends > 0 and life > 0 and not found[12] then
  -- (A short life is renewed more often than uses are written down, or it would end in the middle of use.)
  local later = math.min(now + life, latest)
  if later - ends >= math.min(interval, life / 10) then
    written = written + 2
    found[6] = string.format('%.0f', later)
    redis.call('HSET', KEYS[1], 'e', found[6])
    if ARGV[4] == '' then
      redis.call('PEXPIRE', KEYS[1], string.format('%.0f', math.ceil((later - now) / 1000) + longer))
    end
  end
end
return {1, written, unpack(found, 1, 11)}

-- Begin to build a filter beside the one that answers.
-- KEYS[1]  the state, a hash    KEYS[2], KEYS[3]  the two bitmaps, of the same hash tag
-- ARGV[1]  the builder's id    ARGV[2]  the label    ARGV[3]  the run of the server    ARGV[4]  bits    ARGV[5]  hashes
-- ARGV[6]  capacity    ARGV[7]  the lease in milliseconds: a builder that is silent for longer is dead
-- ARGV[8]  milliseconds after which a writer that said nothing more is dead    ARGV[9]  "1": in the place of any other builder
-- Returns  1, or 0 where another is building.
-- Writers at work have to say again what they said: nothing of it is in the new bits. The dead say nothing any more. One
-- of those that had more to say makes the filter that answers useless: it goes.
-- Atomic because of two builders only one must begin, and no writer may come between the list and the new bitmap.
-- May run twice: nothing has been added yet.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then
  redis.call('DEL', KEYS[1])
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local active = redis.call('HMGET', KEYS[1], 'live', 'next', 'lease')
if active[2] and ARGV[9] ~= '1' and (tonumber(active[3]) or 0) > now then
  if redis.call('HGET', KEYS[1], active[2] .. '.builder') ~= ARGV[1] then
    return 0
  end
end
local live = active[1]
local slot, bits, at = 'a', KEYS[2], 14
if live == 'a' then
  slot, bits, at = 'b', KEYS[3], 15
end
local open, all = 0, redis.call('HGETALL', KEYS[1])
for each = 1, #all, 2 do
  local field, value = all[each], all[each + 1]
  if string.sub(field, 1, 2) == 'w:' then
    if (tonumber(string.sub(value, 1, 13)) or 0) + tonumber(ARGV[8]) < now then
      local letter = string.sub(value, 29 - at, 29 - at)
      if live and (letter == 'o' or letter == 'c') then
        redis.call('HDEL', KEYS[1], 'live')
      end
      redis.call('HDEL', KEYS[1], field)
    else
      redis.call('HSET', KEYS[1], field, string.sub(value, 1, at - 1) .. 'c' .. string.sub(value, at + 1))
      open = open + 1
    end
  end
end
redis.call('HSET', KEYS[1], 'next', slot, 'lease', string.format('%.0f', now + ARGV[7]), slot .. '.builder', ARGV[1],
  slot .. '.label', ARGV[2], slot .. '.run', ARGV[3], slot .. '.bits', ARGV[4], slot .. '.hashes', ARGV[5],
  slot .. '.capacity', ARGV[6], slot .. '.count', 0, slot .. '.open', open)
redis.call('UNLINK', bits)
redis.call('SETBIT', bits, string.format('%.0f', ARGV[4] - 1), 0)
redis.call('PEXPIRE', bits, ARGV[7])
return 1

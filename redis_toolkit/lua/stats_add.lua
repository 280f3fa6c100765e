-- Add what a process has counted to the minute, the hour, the day and the whole, once, and to what is read most.
-- KEYS[1]  the number of the last batch that this process has told
-- KEYS[2], KEYS[3], KEYS[4], KEYS[5]  the minute, the hour, the day and the whole: hashes of whole numbers
-- KEYS[6]  the entries that were read most in this hour: a sorted set; all of one hash tag
-- ARGV[1]  the number of this batch; one that is not above the last was heard already, and nothing is done
-- ARGV[2]  seconds that KEYS[1] lives    ARGV[3], ARGV[4], ARGV[5], ARGV[6]  those of the hashes    ARGV[7]  those of KEYS[6]
-- ARGV[8]  most fields of a hash (of the whole five times as many): what is new beyond goes to another field
-- ARGV[9]  most members of KEYS[6]: those with the least are taken off
-- ARGV[10] how many fields follow
-- then     four for each: its name, the name of the other, how many, and the sum of what was measured
-- then     two for each entry: how it is called there, and how often it was read
-- Returns  1, or 0 where it was heard already.
-- Atomic because a batch must be counted once or not at all, and who loses an answer sends it again. May run twice.
if tonumber(ARGV[1]) <= tonumber(redis.call('GET', KEYS[1]) or '0') then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[2])
local last = 10 + 4 * ARGV[10]
for which = 2, 5 do
  local key = KEYS[which]
  local most = tonumber(ARGV[8]) * (which == 5 and 5 or 1)
  local is_full = redis.call('HLEN', key) >= most
  for at = 11, last, 4 do
    local name = ARGV[at]
    if is_full and redis.call('HEXISTS', key, 'n' .. name) == 0 then
      name = ARGV[at + 1]
    end
    redis.call('HINCRBY', key, 'n' .. name, ARGV[at + 2])
    if ARGV[at + 3] ~= '0' then
      redis.call('HINCRBY', key, 't' .. name, ARGV[at + 3])
    end
  end
  if last > 10 then
    redis.call('EXPIRE', key, ARGV[1 + which])
  end
end
if #ARGV > last then
  for at = last + 1, #ARGV, 2 do
    redis.call('ZINCRBY', KEYS[6], ARGV[at + 1], ARGV[at])
  end
  redis.call('ZREMRANGEBYRANK', KEYS[6], 0, -1 - ARGV[9])
  redis.call('EXPIRE', KEYS[6], ARGV[7])
end
return 1

-- The builder adds what it has found, or puts the new filter in the place of the old one.
-- KEYS[1]  the state, a hash    KEYS[2], KEYS[3]  the two bitmaps, of the same hash tag
-- ARGV[1]  the builder's id    ARGV[2]  how long the bitmap may live now, in milliseconds
-- ARGV[3]  "" while it is building; at the end the run of the server, as the builder knows it
-- ARGV[4…] two hashes for each member
-- Returns  1, or 0 where the filter was dropped meanwhile, lost, or is another builder's.
-- Atomic because no writer may drop the filter between the test and the change. May run twice.
local slot = redis.pcall('HGET', KEYS[1], 'next')
if slot ~= 'a' and slot ~= 'b' then
  local live = redis.pcall('HGET', KEYS[1], 'live')
  local ended = ARGV[3] ~= '' and (live == 'a' or live == 'b')
  return ended and redis.call('HGET', KEYS[1], live .. '.builder') == ARGV[1] and 1 or 0
end
local bits, other = KEYS[2], KEYS[3]
if slot == 'b' then
  bits, other = other, bits
end
local found = redis.call('HMGET', KEYS[1], slot .. '.builder', slot .. '.bits', slot .. '.hashes', slot .. '.run')
local size, hashes = tonumber(found[2]), tonumber(found[3])
if found[1] ~= ARGV[1] or not size or not hashes or redis.pcall('STRLEN', bits) ~= size / 8 then
  return 0
end
local more = 0
for member = 4, #ARGV, 2 do
  local first, second, set = tonumber(ARGV[member]), tonumber(ARGV[member + 1]), 0
  for turn = 0, hashes - 1 do
    set = set + redis.call('SETBIT', bits, string.format('%.0f', (first + turn * second) % size), 1)
  end
  more = more + (set < hashes and 1 or 0)
end
redis.call('HINCRBY', KEYS[1], slot .. '.count', more)
redis.call('PEXPIRE', bits, ARGV[2])
if ARGV[3] == '' then
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], 'lease', string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[2]))
  return 1
end
if found[4] ~= ARGV[3] then
  return 0
end
redis.call('HSET', KEYS[1], 'live', slot)
redis.call('HDEL', KEYS[1], 'next', 'lease')
redis.call('UNLINK', other)
return 1

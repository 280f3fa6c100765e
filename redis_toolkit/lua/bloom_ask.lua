-- Which members a filter rules out.
-- KEYS[1]  the state, a hash    KEYS[2], KEYS[3]  the two bitmaps, of the same hash tag
-- ARGV[1]  the label of who asks    ARGV[2]  the run of the server he is connected to    ARGV[3…]  two hashes for each member
-- Returns  for each member 1 (surely not there) or 0 (may be there); nothing where the filter may not be trusted.
-- Atomic because the bits must be those that the state speaks of. Changes nothing.
local live = redis.pcall('HGET', KEYS[1], 'live')
if live ~= 'a' and live ~= 'b' then
  return {}
end
local bits = live == 'a' and KEYS[2] or KEYS[3]
local found = redis.call('HMGET', KEYS[1], live .. '.label', live .. '.run', live .. '.open', live .. '.bits', live .. '.hashes')
local size, hashes = tonumber(found[4]), tonumber(found[5])
local held = redis.pcall('STRLEN', bits)
if found[1] ~= ARGV[1] or found[2] ~= ARGV[2] or found[3] ~= '0' or not size or not hashes or held ~= size / 8 then
  return {}
end
local answers = {}
for at = 3, #ARGV, 2 do
  local first, second, absent = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), 0
  for turn = 0, hashes - 1 do
    if redis.call('GETBIT', bits, string.format('%.0f', (first + turn * second) % size)) == 0 then
      absent = 1
      break
    end
  end
  answers[#answers + 1] = absent
end
return answers

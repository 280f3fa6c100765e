-- A writer says which members it adds, and whether it has more to say.
-- KEYS[1]  the state, a hash    KEYS[2], KEYS[3]  the two bitmaps, of the same hash tag
-- ARGV[1]  the writer's label    ARGV[2]  its id    ARGV[3]  what it says:
--          "open"  it may add members that it cannot name yet    "told"  whatever it has added up to now, it has named
--          "over"  it has ended and named them all               "lost"  it has ended, and has not named them all
-- ARGV[4]  "1" if all members that it has named so far are here    ARGV[5…]  two hashes for each member
-- Returns  1.
-- A writer stands in the state, with the time and a letter for each bitmap: "o" it has more to say, "c" it was there
-- before the bitmap was and has to say all of it again, "t" it is told. While there is an "o" or a "c" nothing is ruled
-- out. It has no life of its own: of a writer that died only this is left.
-- What is no hash there (another program's doing) is replaced.
-- Atomic because bits and letters must change together. May run twice.
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then
  redis.call('DEL', KEYS[1])
end
local what, writer = ARGV[3], 'w:' .. ARGV[2]
local ends = what == 'over' or what == 'lost'
local active = redis.call('HMGET', KEYS[1], 'live', 'next')
local known = redis.call('HGET', KEYS[1], writer)
local letters = ''
for at, slot in ipairs({'a', 'b'}) do
  local role = active[1] == slot and 'live' or active[2] == slot and 'next'
  local letter = '-'
  if role then
    local bits = KEYS[at + 1]
    local found = redis.call('HMGET', KEYS[1], slot .. '.label', slot .. '.bits', slot .. '.hashes')
    local size, hashes = tonumber(found[2]), tonumber(found[3])
    if what == 'lost' or found[1] ~= ARGV[1] or not size or not hashes or redis.pcall('STRLEN', bits) ~= size / 8 then
      redis.call('HDEL', KEYS[1], role)
      redis.call('UNLINK', bits)
    else
      local more = 0
      for member = 5, #ARGV, 2 do
        local first, second, set = tonumber(ARGV[member]), tonumber(ARGV[member + 1]), 0
        for turn = 0, hashes - 1 do
          set = set + redis.call('SETBIT', bits, string.format('%.0f', (first + turn * second) % size), 1)
        end
        more = more + (set < hashes and 1 or 0)
      end
      redis.call('HINCRBY', KEYS[1], slot .. '.count', more)
      local before = known and string.sub(known, 13 + at, 13 + at) or '-'
      if not ends then
        letter = what == 'open' and 'o' or 't'
        if before == 'c' or (not known and ARGV[4] ~= '1') then
          letter = 'c'
        end
      end
      local blocked, blocks = before == 'o' or before == 'c', letter == 'o' or letter == 'c'
      redis.call('HINCRBY', KEYS[1], slot .. '.open', (blocks and 1 or 0) - (blocked and 1 or 0))
    end
  end
  letters = letters .. letter
end
if ends then
  redis.call('HDEL', KEYS[1], writer)
else
  local time = redis.call('TIME')
  redis.call('HSET', KEYS[1], writer, string.format('%013.0f', time[1] * 1000 + math.floor(time[2] / 1000)) .. letters)
end
return 1

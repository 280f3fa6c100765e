-- Mark a stamp: its token goes, the id of a transaction that is changing the thing comes.
-- KEYS[1]  the stamp
-- ARGV[1]  the transaction's id, 12 bytes    ARGV[2]  how long the mark may stand, in milliseconds
-- Returns  1.
-- A mark is "m" and then, for each transaction, its id and its deadline (13 digits, server clock, milliseconds).
-- What is no stamp at all (somebody else's value of whatever type) is replaced.
-- Atomic because a second writer must join the first one's mark, not replace it. May run twice: the id is replaced.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local last = now + ARGV[2]
local mark = ARGV[1] .. string.format('%013.0f', last)
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' and string.sub(value, 1, 1) == 'm' then
  for at = 2, #value, 25 do
    local deadline = tonumber(string.sub(value, at + 12, at + 24)) or 0
    if deadline > now and string.sub(value, at, at + 11) ~= ARGV[1] then
      mark = mark .. string.sub(value, at, at + 24)
      last = math.max(last, deadline)
    end
  end
end
redis.call('SET', KEYS[1], 'm' .. mark, 'PX', string.format('%.0f', last - now))
return 1

-- Take a transaction's id out of a mark; with none left the stamp goes, and the next reader makes a new token.
-- KEYS[1]  the stamp
-- ARGV[1]  the transaction's id, 12 bytes    ARGV[2]  milliseconds for which it lingers (0: none)
-- Returns  1.
-- A token in the mark's place is deleted too: Redis lost the mark while the transaction was at work, and a reader has
-- since made a token under which it may have stored what was true before the commit.
-- What is no stamp at all (somebody else's value of whatever type) is replaced.
-- Atomic because another writer may be joining or leaving the mark. May run twice.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local linger = tonumber(ARGV[2])
local mark, last = '', now
if linger > 0 then
  last = now + linger
  mark = ARGV[1] .. string.format('%013.0f', last)
end
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
if mark == '' then
  redis.call('DEL', KEYS[1])
else
  redis.call('SET', KEYS[1], 'm' .. mark, 'PX', string.format('%.0f', last - now))
end
return 1

-- Add amounts to what is gathered for rows, or keep the later of two times: for all rows given, or for none.
-- KEYS[1]  what is gathered: a hash of whole numbers by row
-- ARGV[1]  most rows that may wait    ARGV[2]  "sum" or "latest"    ARGV[3...]  a row and its number, and so on
-- Returns  1, or 0 where more rows would wait than may; an error where a number cannot be added.
-- Atomic because several rows are one call's, and because of two processes the later time must win.
-- "sum" must NOT run twice: who loses its answer cannot know whether it has counted. "latest" may.
local size = redis.call('HLEN', KEYS[1])
local most = tonumber(ARGV[1])
if size + (#ARGV - 2) / 2 > most then
  for at = 3, #ARGV, 2 do
    size = size + 1 - redis.call('HEXISTS', KEYS[1], ARGV[at])
  end
  if size > most then
    return 0
  end
end
for at = 3, #ARGV, 2 do
  if ARGV[2] == 'latest' then
    local held = tonumber(redis.call('HGET', KEYS[1], ARGV[at]) or '')
    if held == nil or held < tonumber(ARGV[at + 1]) then
      redis.call('HSET', KEYS[1], ARGV[at], ARGV[at + 1])
    end
  else
    local done = redis.pcall('HINCRBY', KEYS[1], ARGV[at], ARGV[at + 1])
    if type(done) == 'table' and done.err then
      for back = 3, at - 2, 2 do
        local amount = ARGV[back + 1]
        local undone = string.sub(amount, 1, 1) == '-' and string.sub(amount, 2) or '-' .. amount
        -- ("-0" is no number to Redis.)
        if redis.call('HINCRBY', KEYS[1], ARGV[back], undone == '-0' and '0' or undone) == 0 then
          redis.call('HDEL', KEYS[1], ARGV[back])
        end
      end
      return done
    end
  end
end
return 1

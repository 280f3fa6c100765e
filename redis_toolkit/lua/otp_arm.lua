-- Put a code into a challenge that was reserved, or directed, and waits for one.
-- KEYS[1]  the record of the challenge
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still
-- ARGV[2]  the name of the pepper, and ARGV[3] the digest that the code has by it
-- ARGV[4]  "1": also in the place of one that it has
-- Returns  {1 or 0: whether it waited, microseconds that it still lives, its sealed contents, the id of the send, "1" if
--          that is not the first}
-- Atomic because of two workers one puts a code in, and none puts one into what was cancelled or has run out.
-- Must not run twice: the second finds nothing that waits.
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
now = math.abs(now)
local record = redis.call('HMGET', KEYS[1], 'state', 'until', 'sealed', 'send', 'again')
local waits = record[1] == 'pending' or (record[1] == 'armed' and ARGV[4] == '1')
if not waits or tonumber(record[2]) <= now then
  return {0, 0, '', '', '0'}
end
redis.call('HSET', KEYS[1], 'state', 'armed', 'pepper', ARGV[2], 'digest', ARGV[3])
return {1, tonumber(record[2]) - now, record[3], record[4], record[5]}

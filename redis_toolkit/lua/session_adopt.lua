-- Take over a session from the database, once: under the id that its browser has, for the life that it has left.
-- KEYS[1]  the record, as session_save has it    KEYS[2]  the mark of what was taken over, of the same hash tag
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  its life in milliseconds from now    ARGV[3]  the longest from now on; empty: none
-- ARGV[4]  how long the mark stays, in milliseconds: longer than the database may have the session
-- ARGV[5]  the user's digest, empty for nobody    ARGV[6]  its handle    ARGV[7...]  two each: field, value
-- Returns  "adopted", "there" (Redis has it: what it holds stays), "spent" (it was taken over, and has ended since)
-- Atomic because of all who find it in the database one takes it over, and none when it has ended.
-- May run twice: who has taken it over is known by the handle.
local key, mark = KEYS[1], KEYS[2]
local held = redis.call('HGET', key, '\0h')
if held then
  return held == ARGV[6] and 'adopted' or 'there'
end
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = string.format('%.0f', math.floor(math.abs(now) / 1000))
local life, oldest = tonumber(ARGV[2]), tonumber(ARGV[3])
if oldest then
  life = math.min(life, oldest)
end
if not redis.call('SET', mark, '', 'NX', 'PX', string.format('%.0f', tonumber(ARGV[4]) + longer)) then
  return 'spent'
end
local size = 0
for at = 7, #ARGV, 2 do
  redis.call('HSET', key, ARGV[at], ARGV[at + 1])
  size = size + #ARGV[at] + #ARGV[at + 1]
end
redis.call('HSET', key, '\0h', ARGV[6], '\0c', now, '\0l', now, '\0z', string.format('%.0f', size))
if ARGV[5] ~= '' then
  redis.call('HSET', key, '\0u', ARGV[5])
end
redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(life) + longer))
return 'adopted'

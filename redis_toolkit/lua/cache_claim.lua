-- Claim the loading of an answer, or learn that somebody is loading it.
-- KEYS[1]  the answer's flight: a stream of one message, {"begun", how long the claim stands in milliseconds} or {"ended", ""}
-- ARGV[1]  how long a claim stands, in milliseconds
-- Returns  {id, 0} where it is the caller's to load, the id being its own; {id, milliseconds left} where somebody else's
--          claim of that id stands; nil where streams are not allowed (an ACL), and everybody loads.
-- A claim that ran out may be of a load that is only slow: the next one stands twice as long, up to a minute.
-- What is no stream there (another program's doing) is replaced.
-- Atomic because of two readers only one must begin. May run twice: then the caller waits for itself, for a bounded time.
local life = tonumber(ARGV[1])
local last = redis.pcall('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if last.err then
  redis.call('DEL', KEYS[1])
elseif last[1] and last[1][2][1] == 'begun' then
  local stands = tonumber(last[1][2][2])
  local time = redis.call('TIME')
  local since = time[1] * 1000 + math.floor(time[2] / 1000) - tonumber(string.match(last[1][1], '^%d+'))
  local left = math.min(stands - since, stands)
  if left > 0 then
    return {last[1][1], left}
  end
  life = math.min(math.max(life, 2 * stands), 60000)
end
local id = redis.pcall('XADD', KEYS[1], 'MAXLEN', 1, '*', 'begun', life)
if id.err then
  return false
end
redis.call('PEXPIRE', KEYS[1], 4 * life)
return {id, 0}

-- Claim the loading of an answer, or learn that somebody is loading it.
-- KEYS[1]  the answer's flight: a stream of one message, "begun" or "ended"
-- ARGV[1]  how long the claim stands, in milliseconds
-- Returns  nil where it is now the caller's to load; else the id of the message that says who began.
-- What is no stream there (another program's doing) is replaced.
-- Atomic because of two readers only one must begin. May run twice: then the caller waits for itself, for a bounded time.
local last = redis.pcall('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if last.err then
  redis.call('DEL', KEYS[1])
elseif last[1] and last[1][2][1] == 'begun' then
  return last[1][1]
end
-- Where streams are not allowed (an ACL), everybody loads.
if not redis.pcall('XADD', KEYS[1], 'MAXLEN', 1, '*', 'begun', '').err then
  redis.call('PEXPIRE', KEYS[1], ARGV[1])
end
return false

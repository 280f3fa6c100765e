-- Tell those who wait that a load has ended.
-- KEYS[1]  the answer's flight: a stream of one message
-- ARGV[1]  the id of the claim
-- Returns  1 if that claim stood, 0 if another has begun since or none stands: then it is not the caller's to end.
-- Atomic because a claim must not be ended by the wrong hand. May run twice.
local last = redis.pcall('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)
if last.err or not last[1] or last[1][1] ~= ARGV[1] then
  return 0
end
redis.call('XADD', KEYS[1], 'MAXLEN', 1, '*', 'ended', '')
-- For those who were told of the claim and are on their way to wait for its end.
redis.call('PEXPIRE', KEYS[1], 5000)
return 1

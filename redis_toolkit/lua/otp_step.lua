-- Accept a time step of a TOTP device once, and none that is older.
-- KEYS[1]  the highest step that was accepted
-- ARGV[1]  the step
-- ARGV[2]  for how many milliseconds it is remembered: longer than the device's codes are taken
-- Returns  1: accepted, or 0: it, or a later one, was accepted before
-- Atomic because of two who show the same code one is let in. Must not run twice: the second is told 0.
local last = redis.call('GET', KEYS[1])
if last and tonumber(last) >= tonumber(ARGV[1]) then
  return 0
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return 1

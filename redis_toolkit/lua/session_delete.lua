-- End a session.
-- KEYS[1]  the record
-- ARGV[1]  the handle that it must have; empty: whichever it has
-- Returns  {1 if it was there, the user's digest, its handle}, both empty where there is none
-- Atomic because whose it was must be known of the very session that was ended. May run twice.
local held = redis.call('HMGET', KEYS[1], '\0u', '\0h')
if ARGV[1] ~= '' and held[2] ~= ARGV[1] then
  return {0, '', ''}
end
return {redis.call('UNLINK', KEYS[1]), held[1] or '', held[2] or ''}

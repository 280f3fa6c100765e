-- The stamp as it stands, made if it is missing.
-- KEYS[1]  the stamp
-- ARGV[1]  a new random token    ARGV[2]  its life in milliseconds
-- Returns  the stamp's value: an older token, a mark, or the new token.
-- What is no string there (another program's doing) counts as missing.
-- Atomic because two readers that both find the stamp missing must go on with the same token.
local value = redis.pcall('GET', KEYS[1])
if type(value) == 'string' then
  return value
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
return ARGV[1]

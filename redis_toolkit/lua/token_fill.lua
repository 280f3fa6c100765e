-- Remember the row of a token for a while; or that it is not being read any more.
-- KEYS[1]  the token, as in token_take
-- ARGV[1]  the id under which the row was read
-- ARGV[2]  milliseconds to remember it for
-- ARGV[3]… u, h, n, s, c, e, l, t, a, g, m as in token_take; nothing: there is no row to remember
-- Returns  1 if it is remembered now, 0 if not
-- Atomic because a row that was revoked since it was read may not be remembered: who revokes takes the id away. May run
-- twice: the second time the id is gone.
if redis.call('HGET', KEYS[1], 'w') ~= ARGV[1] then
  return 0
end
redis.call('UNLINK', KEYS[1])
if #ARGV < 3 then
  return 0
end
local names, fields = {'u', 'h', 'n', 's', 'c', 'e', 'l', 't', 'a', 'g', 'm'}, {}
for at, name in ipairs(names) do
  fields[2 * at - 1], fields[2 * at] = name, ARGV[at + 2]
end
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('PEXPIRE', KEYS[1], ARGV[2])
return 1

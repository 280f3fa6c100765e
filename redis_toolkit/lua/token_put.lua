-- Write a new token down, of which nobody knows the text yet.
-- KEYS[1]  the token, as in token_take
-- ARGV[1]  milliseconds that it is there
-- ARGV[2]… u, h, n, s, c, e, l, t, a, g, m as in token_take
-- Returns  1
-- Atomic because no token may be without an end. May run twice.
local names, fields = {'u', 'h', 'n', 's', 'c', 'e', 'l', 't', 'a', 'g', 'm'}, {}
for at, name in ipairs(names) do
  fields[2 * at - 1], fields[2 * at] = name, ARGV[at + 1]
end
redis.call('UNLINK', KEYS[1])
redis.call('HSET', KEYS[1], unpack(fields))
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1

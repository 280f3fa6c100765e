-- Give a session another name, with all it holds and the life it has left.
-- KEYS[1]  the record by its old name    KEYS[2]  by its new one, of the same hash tag
-- ARGV[1]  how many fields it has, where its values are bound to its name; else empty
-- ARGV[2...]  then its values, three each: field, what it holds, the same bound to the new name
-- Returns  "moved", "gone" (there is nothing under the old name), or "changed" (it holds something else: load it again)
-- Atomic because what others write meanwhile must go along, and what was ended must not come back under another name.
-- May run twice: nobody else knows the new name, so what is there has been moved.
if redis.call('EXISTS', KEYS[1]) == 0 then
  return redis.call('EXISTS', KEYS[2]) == 1 and 'moved' or 'gone'
end
if ARGV[1] ~= '' then
  if redis.call('HLEN', KEYS[1]) ~= tonumber(ARGV[1]) then
    return 'changed'
  end
  for at = 2, #ARGV, 3 do
    if redis.call('HGET', KEYS[1], ARGV[at]) ~= ARGV[at + 1] then
      return 'changed'
    end
  end
end
redis.call('RENAME', KEYS[1], KEYS[2])
for at = 2, #ARGV, 3 do
  redis.call('HSET', KEYS[2], ARGV[at], ARGV[at + 2])
end
return 'moved'

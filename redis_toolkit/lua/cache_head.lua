-- The first bytes of an entry.
-- KEYS[1]  the entry
-- ARGV[1]  index of the last byte
-- Returns  the bytes; none where there is no entry, or what lies there is none (another program's doing).
-- Atomic because it is one command: a script, so that an error of it is not one of the commands around it. May run twice.
local head = redis.pcall('GETRANGE', KEYS[1], 0, ARGV[1])
if type(head) == 'table' then
  return ''
end
return head

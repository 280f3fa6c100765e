-- Write what has changed of a session, or all of it, and let it last; with no changes only that.
-- KEYS[1]  the record: a hash. Fields that begin with NUL are ours: c created, h handle, u user, d device, z size, l last
-- ARGV[1]  the time in microseconds since the epoch; empty: the server's. With a minus before it (tests) it stands still,
--          so that keys have to live for longer than it takes
-- ARGV[2]  "create" (it must be absent), "update" (it must be there), "replace" (so must it, and what it held goes)
-- ARGV[3]  its life in milliseconds from now, which may have ended    ARGV[4]  the longest since it began; empty: none
-- ARGV[5]  most bytes that it may hold    ARGV[6]  the user's digest, empty for nobody; "=": as it was
-- ARGV[7]  its handle, where it begins now (or somebody logs in); else empty    ARGV[8]  the device then, or empty
-- ARGV[9...]  changes, four each: what, field, value, SHA-1 of what is replaced. "s" set, "d" delete; "c" and "x" the same
--          where nobody else has; "r" set where nobody else has, and otherwise leave it
-- Returns  {"ok", user before, user now, handle, bytes before, bytes now, life}, {"ended", user before, "", handle},
--          {"exists"}, {"gone"}, {"large", bytes}, {"conflict", field...}
-- Atomic because a session that was ended must not come back, and two requests that change it must both be heard.
-- May run twice: who has created it is known by the handle, and what is set already is no conflict.
local key = KEYS[1]
local now = tonumber(ARGV[1])
if not now then
  local time = redis.call('TIME')
  now = time[1] * 1000000 + time[2]
end
local longer = now < 0 and 60000 or 0
now = math.floor(math.abs(now) / 1000)
local mode, life, oldest, most = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local user, handle, device = ARGV[6], ARGV[7], ARGV[8]
local held = redis.call('HMGET', key, '\0h', '\0u', '\0c', '\0z')
local before = held[2] or ''
if mode == 'create' then
  if held[1] and held[1] ~= handle then
    return {'exists'}
  end
elseif not held[1] then
  return {'gone'}
end
local created = handle ~= '' and now or tonumber(held[3])
if oldest then
  life = math.min(life, created + oldest - now)
end
if life <= 0 then
  redis.call('UNLINK', key)
  return {'ended', before, '', held[1] or ''}
end
local conflicts, doing = {'conflict'}, {}
local size = mode == 'replace' and 0 or tonumber(held[4] or 0)
local grown = 0
for at = 9, #ARGV, 4 do
  local what, field, value, expected = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
  local does = true
  if what ~= 's' and what ~= 'd' then
    local found = redis.call('HGET', key, field)
    local is_same = (found and redis.sha1hex(found) or '') == expected
    if what == 'r' then
      does = is_same
    elseif not is_same and (found or '') ~= value then
      conflicts[#conflicts + 1] = field
    end
  end
  if does then
    local old = mode == 'replace' and 0 or redis.call('HSTRLEN', key, field)
    local had = old > 0 and old + #field or 0
    local has = (what == 'd' or what == 'x') and 0 or #value + #field
    grown = grown + has - had
    doing[#doing + 1] = at
  end
end
if #conflicts > 1 then
  return conflicts
end
if size + grown > most and (grown > 0 or mode == 'create') then
  return {'large', size + grown}
end
if mode == 'replace' then
  local ours = {'\0h', '\0u', '\0c', '\0d'}
  local kept = redis.call('HMGET', key, unpack(ours))
  redis.call('DEL', key)
  for at, field in ipairs(ours) do
    if kept[at] then
      redis.call('HSET', key, field, kept[at])
    end
  end
end
for _, at in ipairs(doing) do
  if ARGV[at] == 'd' or ARGV[at] == 'x' then
    redis.call('HDEL', key, ARGV[at + 1])
  else
    redis.call('HSET', key, ARGV[at + 1], ARGV[at + 2])
  end
end
if handle ~= '' then
  redis.call('HSET', key, '\0h', handle, '\0c', string.format('%.0f', created))
  if device ~= '' then
    redis.call('HSET', key, '\0d', device)
  else
    redis.call('HDEL', key, '\0d')
  end
end
if user == '=' then
  user = before
elseif user == '' then
  redis.call('HDEL', key, '\0u', '\0d')
else
  redis.call('HSET', key, '\0u', user)
end
redis.call('HSET', key, '\0z', string.format('%.0f', size + grown), '\0l', string.format('%.0f', now))
redis.call('PEXPIRE', key, string.format('%.0f', math.ceil(life) + longer))
return {'ok', before, user, handle ~= '' and handle or held[1], size, size + grown, math.ceil(life)}

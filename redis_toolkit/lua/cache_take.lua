#!lua flags=allow-oom
-- The batch that is to be applied next: the one a flusher has left behind, or a new one of what is gathered.
-- KEYS[1]  what is gathered: a hash of whole numbers by row    KEYS[2]  the batch: such a hash; its id under ""
-- ARGV[1]  the id of a new batch    ARGV[2]  most rows of a new batch
-- Returns  the batch, fields and values in turn; nothing where nothing is gathered.
-- Atomic because what is in the batch must be gathered no more, and the other way round. May run twice: it is the same.
-- A full server must let it run (allow-oom), for what is flushed is what makes room again.
if redis.call('HLEN', KEYS[2]) == 0 then
  local size, most = redis.call('HLEN', KEYS[1]), tonumber(ARGV[2])
  if size == 0 then
    return {}
  elseif size <= most then
    redis.call('RENAME', KEYS[1], KEYS[2])
  else
    local rows = redis.call('HRANDFIELD', KEYS[1], most)
    for at, row in ipairs(rows) do
      redis.call('HSET', KEYS[2], row, redis.call('HGET', KEYS[1], row))
    end
    redis.call('HDEL', KEYS[1], unpack(rows))
  end
end
redis.call('HSETNX', KEYS[2], '', ARGV[1])
return redis.call('HGETALL', KEYS[2])

#!lua flags=allow-oom
-- Drop a batch that the database has, and remember that it was the last.
-- KEYS[1]  the batch: a hash with its id under ""    KEYS[2]  the id of the last batch that was dropped
-- ARGV[1]  the id of the batch that the database has
-- Returns  1, or 0 where another batch stands there, or none.
-- Atomic because the next batch may stand there by the time a slow flusher drops its own, and because a reader tells by
-- the id whether what it has read of the database is from before. May run twice.
if redis.call('HGET', KEYS[1], '') ~= ARGV[1] then
  return 0
end
redis.call('UNLINK', KEYS[1])
redis.call('SET', KEYS[2], ARGV[1])
return 1

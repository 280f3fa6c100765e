-- What waits in Redis for some rows.
-- KEYS[1]  what is gathered    KEYS[2]  the batch    KEYS[3]  the id of the last batch that was dropped
-- ARGV     the rows
-- Returns  that id, the batch's id, what is gathered for each row, what the batch has for each row; nil where nothing is.
-- Atomic because a batch that is taken or dropped between two looks would be seen twice, or not at all. May run twice.
return {
  redis.call('GET', KEYS[3]),
  redis.call('HGET', KEYS[2], ''),
  redis.call('HMGET', KEYS[1], unpack(ARGV)),
  redis.call('HMGET', KEYS[2], unpack(ARGV)),
}

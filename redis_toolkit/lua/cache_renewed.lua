-- End the claim of a message that told a worker of an answer.
-- KEYS[1]  the claim
-- ARGV[1]  its id
-- Returns  1 if that claim stood, 0 if another does or none.
-- Atomic because a claim must not be ended by the wrong hand. May run twice.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])

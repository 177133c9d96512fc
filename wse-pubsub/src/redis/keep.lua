-- Keeps a topic's members alive that nothing has happened to, or forgets a topic that the incarnation holds nothing of.
if redis.call('EXISTS', by) == 0 then
  redis.call('ZREM', of, name)
  redis.call('ZREM', due, name)
  return 0
end
redis.call('ZADD', due, int(now + keep_ms / 2), name)
expire({ shown, more, by })
return 1

-- Takes back a begin that led to nothing, if it still stands.
local producer, n, started = ARGV[4], ARGV[5], 's' .. ARGV[6] .. ':' .. ARGV[7]
if redis.call('HGET', of(producer), n) == started then
  redis.call('HDEL', of(producer), n)
  redis.call('ZREM', order(producer), n)
  grow(producer, -(#started + 64))
end
return epoch()

-- Begins or renews a lease. Answers whether it lives, topics of it that are to be kept alive, and what is left of incarnations that have lapsed: {incarnation, topics} each.
local begins, page = ARGV[7] == '1', tonumber(ARGV[8])
refence()
local lives = begins or redis.call('ZSCORE', leases, incarnation)
if lives then redis.call('ZADD', leases, int(now + lease_ms), incarnation) end
for _, other in ipairs(redis.call('ZRANGEBYSCORE', leases, '-inf', int(now), 'LIMIT', 0, 64)) do
  redis.call('ZREM', leases, other)
  redis.call('ZADD', lapsed, int(now), other)
end
local overdue = {}
for _, other in ipairs(redis.call('ZRANGEBYSCORE', lapsed, '-inf', int(now), 'LIMIT', 0, 64)) do
  local topics = redis.call('ZRANGE', base .. 'of:' .. other, 0, page - 1)
  if #topics > 0 then
    overdue[#overdue + 1] = { other, topics }
  else
    redis.call('ZREM', lapsed, other)
    redis.call('UNLINK', base .. 'due:' .. other)
  end
end
expire({ leases, lapsed, base .. 'fence', of, due })
local idle = lives and redis.call('ZRANGEBYSCORE', due, '-inf', int(now), 'LIMIT', 0, page) or {}
return { lives and 1 or 0, idle, overdue }

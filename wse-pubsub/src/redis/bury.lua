-- Adds a dead letter and drops what is too old or too much, the oldest first; answers how many were dropped.
-- index: ids in their order. ages: ids by time (ms). sizes: their bytes, b of all. letter:<id>: a hash of its fields.
local base = KEYS[1]
local id, size, age, letters, bytes = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local index, ages, sizes, now = base .. 'index', base .. 'ages', base .. 'sizes', now_ms()

local function drop(old)
  redis.call('HINCRBY', sizes, 'b', -(tonumber(redis.call('HGET', sizes, 's' .. old) or '0')))
  redis.call('HDEL', sizes, 's' .. old)
  redis.call('ZREM', index, old)
  redis.call('ZREM', ages, old)
  redis.call('UNLINK', base .. 'letter:' .. old)
end

local dropped = 0
for _, old in ipairs(redis.call('ZRANGEBYSCORE', ages, '-inf', int(now - age), 'LIMIT', 0, 64)) do
  drop(old)
  dropped = dropped + 1
end
if size == 0 then return dropped end
if redis.call('ZADD', index, 'NX', 0, id) == 1 then
  local fields = {}
  for at = 6, #ARGV do fields[#fields + 1] = ARGV[at] end
  redis.call('HSET', base .. 'letter:' .. id, unpack(fields))
  redis.call('ZADD', ages, int(now), id)
  redis.call('HSET', sizes, 's' .. id, size)
  redis.call('HINCRBY', sizes, 'b', size)
end
for _ = 1, 64 do
  local count = redis.call('ZCARD', index)
  local full = count > letters or (count > 1 and tonumber(redis.call('HGET', sizes, 'b') or '0') > bytes)
  if not full then break end
  drop(redis.call('ZRANGE', index, 0, 0)[1])
  dropped = dropped + 1
end
for _, key in ipairs({ index, ages, sizes, base .. 'letter:' .. id }) do redis.call('PEXPIRE', key, int(age * 2)) end
return dropped

-- Reads dead letters that are not too old, oldest first: all, or the one that is claimed, given back or removed.
-- Answers the letters' fields, or for one of them "gone", "taken" or "done".
local base, what, id, age, claim_ms, limit = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local index, ages, sizes, now = base .. 'index', base .. 'ages', base .. 'sizes', now_ms()
local names = { 'id', 'at', 'n', 'u', 't', 'i', 'm', 'p' }

local function is_there(one)
  local since = redis.call('ZSCORE', ages, one)
  return since and tonumber(since) > now - age
end

if what == 'list' then
  local found = {}
  for _, one in ipairs(redis.call('ZRANGE', index, 0, -1)) do
    if #found >= limit then break end
    if is_there(one) then found[#found + 1] = redis.call('HMGET', base .. 'letter:' .. one, unpack(names)) end
  end
  return found
end
if not is_there(id) then return 'gone' end
local letter = base .. 'letter:' .. id
if what == 'remove' then
  redis.call('HINCRBY', sizes, 'b', -(tonumber(redis.call('HGET', sizes, 's' .. id) or '0')))
  redis.call('HDEL', sizes, 's' .. id)
  redis.call('ZREM', index, id)
  redis.call('ZREM', ages, id)
  redis.call('UNLINK', letter)
  return 'done'
end
if what == 'release' then
  redis.call('HDEL', letter, 'c')
  return 'done'
end
if tonumber(redis.call('HGET', letter, 'c') or '0') > now then return 'taken' end
redis.call('HSET', letter, 'c', int(now + claim_ms))
redis.call('HINCRBY', letter, 'n', 1)
return redis.call('HMGET', letter, unpack(names))

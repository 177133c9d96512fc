-- What every script on outcomes begins with. All of it is in one hash slot; BASE is the prefix of its keys.
-- meta: e epoch, f fence, b bytes of all outcomes, g until when (ms) an unknown producer may be a forgotten one, d how much was forgotten.
-- index: producers by the time (ms) of their last message. sizes: their bytes.
-- of:<producer>: a hash of number -> state, and f, the number up to which nothing more is known than what is kept. order:<producer>: its numbers.
-- lease:<process>: while that process lives. A state is "s<process>:<run>" (started), "r<0|1><payload>" or "e<code> <sentence>" (done).
local base, fence, fresh, age = KEYS[1], ARGV[1], ARGV[2], tonumber(ARGV[3])
local meta, index, sizes = base .. 'meta', base .. 'index', base .. 'sizes'
local function of(producer) return base .. 'of:' .. producer end
local function order(producer) return base .. 'order:' .. producer end
local function lease(process) return base .. 'lease:' .. process end
local function number(value) return tonumber(value or '0') or 0 end

-- Another epoch where the node is another than wrote it: its copy may be older.
local function epoch()
  local m = redis.call('HMGET', meta, 'e', 'f')
  if m[1] and m[2] == fence then return m[1] end
  redis.call('HSET', meta, 'e', fresh, 'f', fence)
  redis.call('PEXPIRE', meta, int(age * 2))
  return fresh
end

local function grow(producer, by)
  redis.call('HINCRBY', sizes, producer, int(by))
  redis.call('HINCRBY', meta, 'b', int(by))
end

local function forget(producer)
  redis.call('HINCRBY', meta, 'b', int(-number(redis.call('HGET', sizes, producer))))
  redis.call('HDEL', sizes, producer)
  redis.call('ZREM', index, producer)
  redis.call('UNLINK', of(producer), order(producer))
end

local function forget_old(now)
  for _, producer in ipairs(redis.call('ZRANGEBYSCORE', index, '-inf', int(now - age), 'LIMIT', 0, 16)) do forget(producer) end
end

local function raise_floor(producer, to)
  if to > number(redis.call('HGET', of(producer), 'f')) then redis.call('HSET', of(producer), 'f', int(to)) end
end

local function drop(producer, n)
  local state = redis.call('HGET', of(producer), n)
  redis.call('HDEL', of(producer), n)
  redis.call('ZREM', order(producer), n)
  if state then grow(producer, -(#state + 64)) end
  raise_floor(producer, number(n))
end

local function put(producer, n, state, now)
  local before = redis.call('HGET', of(producer), n)
  redis.call('HSET', of(producer), n, state)
  redis.call('ZADD', order(producer), n, n)
  grow(producer, #state + 64 - (before and #before + 64 or 0))
  redis.call('ZADD', index, int(now), producer)
  for _, key in ipairs({ meta, index, sizes, of(producer), order(producer) }) do redis.call('PEXPIRE', key, int(age * 2)) end
end

-- Forgets what is too much, at most 64 messages and 16 producers per call; counts them.
local function keep_bounds(producer, now, messages, bytes, producers, budget)
  local gone = 0
  for _ = 1, 64 do
    local count = redis.call('ZCARD', order(producer))
    local full = count > messages or number(redis.call('HGET', sizes, producer)) > bytes
    if count < 2 or not full then break end
    drop(producer, redis.call('ZRANGE', order(producer), 0, 0)[1])
    gone = gone + 1
  end
  for _ = 1, 16 do
    local count = redis.call('ZCARD', index)
    local full = count > producers or number(redis.call('HGET', meta, 'b')) > budget
    if count < 2 or not full then break end
    forget(redis.call('ZRANGE', index, 0, 0)[1])
    redis.call('HSET', meta, 'g', int(now + age))
    gone = gone + 1
  end
  if gone > 0 then redis.call('HINCRBY', meta, 'd', gone) end
end

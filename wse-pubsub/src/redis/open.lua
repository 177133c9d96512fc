-- What every script begins with. Every log's keys share one hash slot: a topic's, and a births log's, which is named "<namespace>:*".
-- meta: e epoch, n last seq, g generation of the epoch, f fence, b bytes ever stored.
-- log: a stream of ids "<generation>-<seq>" with t (ms), b (bytes stored before it), d (the record).
-- topics: a namespace's members, each under the time (ms) at which its meta has expired at the latest.
local function int(number) return string.format('%d', number) end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Begins the log where there is none, and anew where the node is another than wrote it: its copy may be older.
local function open(meta, log, fence, fresh)
  local m = redis.call('HMGET', meta, 'e', 'n', 'g', 'f', 'b')
  if m[1] and m[4] == fence then
    return { epoch = m[1], seq = tonumber(m[2]), gen = m[3], bytes = tonumber(m[5]) }
  end
  local opened = { epoch = fresh, seq = 0, gen = '1', bytes = 0, new = not m[1] }
  if m[1] then
    opened.gen, opened.bytes = int(tonumber(m[3]) + 1), tonumber(m[5])
  else
    redis.call('DEL', log)
  end
  redis.call('HSET', meta, 'e', fresh, 'n', '0', 'g', opened.gen, 'f', fence, 'b', int(opened.bytes))
  return opened
end

-- Drops what is too old or too much, at most 64 entries per call, so that no call takes long.
local function trim(log, stored, now, age, bytes)
  for _ = 1, 64 do
    local oldest = redis.call('XRANGE', log, '-', '+', 'COUNT', 1)[1]
    if not oldest then return end
    local fields = oldest[2]
    if tonumber(fields[2]) + age > now and stored - tonumber(fields[4]) <= bytes then return end
    redis.call('XDEL', log, oldest[1])
  end
end

-- What a bell carries of one record.
local function framed(record) return struct.pack('>I4', #record) .. record end

-- Keeps a topic among its namespace's members. One that is new, or is not among them, is born: an entry of the births log.
local function attend(names, births, fence, fresh, topic, name, now, meta_age)
  local score = redis.call('ZSCORE', names.topics, name)
  if not topic.new and score and tonumber(score) >= now + meta_age then return end
  local life = math.floor(meta_age * 9 / 8)
  redis.call('ZADD', names.topics, int(now + life), name)
  if topic.new or not score then
    local log, record = open(names.meta, names.log, fence, fresh), topic.epoch .. ' ' .. name
    log.seq = log.seq + 1
    redis.call('HSET', names.meta, 'n', int(log.seq), 'b', int(log.bytes + #record))
    redis.call('XADD', names.log, 'MAXLEN', '~', births, log.gen .. '-' .. int(log.seq),
      't', int(now), 'b', int(log.bytes), 'd', record)
    redis.call('ZREMRANGEBYSCORE', names.topics, '-inf', int(now))
    redis.call('PUBLISH', names.bell, log.epoch .. ' ' .. int(log.seq) .. ' ' .. framed(record))
  end
  for _, key in ipairs({ names.topics, names.meta, names.log }) do redis.call('PEXPIRE', key, int(life)) end
end

-- The keys of a topic's namespace from KEYS[at] on, if it has one.
local function names_at(at, births)
  if births == '0' then return nil end
  return { meta = KEYS[at], log = KEYS[at + 1], bell = KEYS[at + 2], topics = KEYS[at + 3] }
end

-- What both scripts begin with. Every topic's keys share one hash slot.
-- meta: e epoch, n last seq, g generation of the epoch, f fence, b bytes ever stored, pe and pn the parent epoch and its last seq.
-- log: a stream of ids "<generation>-<seq>" with t (ms), b (bytes stored before it), d (the record).
local function int(number) return string.format('%d', number) end

local function now_ms()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

-- Begins the topic where there is none, and anew where the node is another than wrote it: its copy may be older.
local function open(meta, log, fence, fresh)
  local m = redis.call('HMGET', meta, 'e', 'n', 'g', 'f', 'b')
  if m[1] and m[4] == fence then
    return { epoch = m[1], seq = tonumber(m[2]), gen = m[3], bytes = tonumber(m[5]) }
  end
  local topic = { epoch = fresh, seq = 0, gen = '1', bytes = 0 }
  if m[1] then
    topic.gen, topic.bytes = int(tonumber(m[3]) + 1), tonumber(m[5])
    redis.call('HSET', meta, 'pe', m[1], 'pn', m[2])
  else
    redis.call('DEL', log)
  end
  redis.call('HSET', meta, 'e', fresh, 'n', '0', 'g', topic.gen, 'f', fence, 'b', int(topic.bytes))
  return topic
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

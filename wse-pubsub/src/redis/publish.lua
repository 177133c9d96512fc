-- Stores one message and rings the bell; returns "<epoch> <seq> <id>", of the first publish where this one is a retry.
local meta, log, once, bell = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local fence, fresh, age, meta_age = ARGV[1], ARGV[2], tonumber(ARGV[3]), ARGV[4]
local messages, bytes, cost = ARGV[5], tonumber(ARGV[6]), tonumber(ARGV[7])
local retry_age, id, record = ARGV[8], ARGV[9], ARGV[10]

local first = redis.call('GET', once)
if first then return first end

local topic, now = open(meta, log, fence, fresh), now_ms()
local seq, stored = topic.seq + 1, topic.bytes + cost
redis.call('HSET', meta, 'n', int(seq), 'b', int(stored))
redis.call('XADD', log, 'MAXLEN', '~', messages, topic.gen .. '-' .. int(seq),
  't', int(now), 'b', int(topic.bytes), 'd', record)
if seq % 8 == 0 or cost > 65536 then trim(log, stored, now, age, bytes) end
redis.call('PEXPIRE', log, int(age))
redis.call('PEXPIRE', meta, meta_age)
local receipt = topic.epoch .. ' ' .. int(seq) .. ' ' .. id
redis.call('SET', once, receipt, 'PX', retry_age)
redis.call('PUBLISH', bell, topic.epoch .. ' ' .. int(seq) .. ' ' .. record)
return receipt

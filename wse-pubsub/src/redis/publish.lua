-- Stores messages of one topic and rings the bell once. Answers for each "<epoch> <seq>", and where it is a retry " <id>" of
-- the first publish too. KEYS: the topic's, the call's, the namespace's, then one per message: its retry key's, or the call's.
local meta, log, bell, call = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local fence, fresh, name, age, meta_age = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local messages, bytes, births, call_age, retry_age = ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10]

if call_age ~= '0' then
  local done = redis.call('GET', call)
  if done then return cmsgpack.unpack(done) end
end

local topic, now, names = open(meta, log, fence, fresh), now_ms(), names_at(5, births)
if names then attend(names, births, fence, fresh, topic, name, now, meta_age) end
local first, before, receipts, rung = topic.seq + 1, topic.bytes, {}, {}
local once_at = names and 8 or 4
for i = 1, (#ARGV - 10) / 3 do
  local once, at = KEYS[once_at + i], 7 + 3 * i + 1
  local cost, id, record = tonumber(ARGV[at]), ARGV[at + 1], ARGV[at + 2]
  local known = once ~= call and redis.call('GET', once)
  if not known then
    topic.seq = topic.seq + 1
    redis.call('XADD', log, 'MAXLEN', '~', messages, topic.gen .. '-' .. int(topic.seq),
      't', int(now), 'b', int(topic.bytes), 'd', record)
    topic.bytes = topic.bytes + cost
    rung[#rung + 1] = framed(record)
    receipts[i] = topic.epoch .. ' ' .. int(topic.seq)
    if once ~= call then redis.call('SET', once, receipts[i] .. ' ' .. id, 'PX', retry_age) end
  end
  receipts[i] = known or receipts[i]
end
if #rung > 0 then
  redis.call('HSET', meta, 'n', int(topic.seq), 'b', int(topic.bytes))
  local eighth = math.floor(topic.seq / 8) ~= math.floor((first - 1) / 8)
  if eighth or topic.bytes - before > 65536 then trim(log, topic.bytes, now, age, bytes) end
  redis.call('PEXPIRE', log, int(age))
  redis.call('PUBLISH', bell, topic.epoch .. ' ' .. int(first) .. ' ' .. table.concat(rung))
end
redis.call('PEXPIRE', meta, int(meta_age))
if call_age ~= '0' then redis.call('SET', call, cmsgpack.pack(receipts), 'PX', call_age) end
return receipts

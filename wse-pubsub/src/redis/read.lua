-- Reads a log: epoch, top, first seq that can be had, and the entries after `since` if they follow it without a hole.
-- KEYS: the log's, then its namespace's if it is a topic of one.
local meta, log = KEYS[1], KEYS[2]
local fence, fresh, name, age, meta_age = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local bytes, births, epoch, since = tonumber(ARGV[6]), ARGV[7], ARGV[8], tonumber(ARGV[9])
local limit, reply_bytes, unborn = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12]

-- One of the server's own is made by its first message; what was before that is read from its beginning.
if unborn ~= '' then
  if redis.call('EXISTS', meta) == 0 then return { unborn, 0, 1, {} } end
end

local topic, now, names = open(meta, log, fence, fresh), now_ms(), names_at(3, births)
if names then attend(names, births, fence, fresh, topic, name, now, meta_age) end
redis.call('PEXPIRE', meta, int(meta_age))
trim(log, topic.bytes, now, age, bytes)

local function range(from, count)
  return redis.call('XRANGE', log, topic.gen .. '-' .. int(from), '+', 'COUNT', count)
end

local function seq_of(entry) return tonumber(string.match(entry[1], '-(%d+)$')) end

local before = since == 0 and unborn == epoch and string.sub(topic.epoch, 1, #unborn + 1) == unborn .. '.'
if unborn ~= '' and before then epoch = topic.epoch end
local same = epoch == topic.epoch and since <= topic.seq
local oldest = range(same and since + 1 or 0, 1)[1]
local first = oldest and seq_of(oldest) or topic.seq + 1
if epoch == topic.epoch and since > topic.seq then first = topic.seq + 1 end
local entries, size = {}, 0
if same and first == since + 1 then
  local next = first
  while #entries < limit and size < reply_bytes do
    local run = range(next, math.min(16, limit - #entries))
    if #run == 0 then break end
    for _, entry in ipairs(run) do
      entries[#entries + 1] = { seq_of(entry), entry[2][6] }
      size = size + #entry[2][6]
      if size >= reply_bytes then break end
    end
    next = seq_of(run[#run]) + 1
  end
end
return { topic.epoch, topic.seq, first, entries }

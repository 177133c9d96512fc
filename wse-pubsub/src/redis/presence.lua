-- What every script on members begins with. KEYS[1] is the prefix of what is known of incarnations; times are Redis' own (ms).
-- leases: incarnations by the end of their lease. lapsed: those whose holds are to be removed, by the time from which on. fence: of the node
-- that wrote them. of:<incarnation>: topics that it may hold members of, by the number of its last call. due:<incarnation>: the same by when to look at them.
-- A topic's keys (KEYS[2] to KEYS[4]): shown, member -> "<incarnation> <at> <member in JSON>" of the newest hold; more, member -> its other
-- holds, newest first, as {incarnation, at, JSON}; by, the members that the incarnation holds.
local base, shown, more, by = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local fence, fresh, incarnation, name = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local lease_ms, keep_ms = tonumber(ARGV[5]), tonumber(ARGV[6])
local leases, lapsed = base .. 'leases', base .. 'lapsed'
local of, due, now = base .. 'of:' .. incarnation, base .. 'due:' .. incarnation, now_ms()

local function expire(keys)
  for _, key in ipairs(keys) do redis.call('PEXPIRE', key, int(keep_ms)) end
end

-- Where the node is another than wrote them, its copy may be older: nobody goes on, and everybody has a lease's time to begin anew unseen.
local function refence()
  if redis.call('GET', base .. 'fence') == fence then return end
  for _, other in ipairs(redis.call('ZRANGE', leases, 0, -1)) do redis.call('ZADD', lapsed, int(now + lease_ms), other) end
  redis.call('DEL', leases)
  redis.call('SET', base .. 'fence', fence, 'PX', int(keep_ms))
end

-- A member's holds, newest first.
local function holds_of(member)
  local newest = redis.call('HGET', shown, member)
  if not newest then return {} end
  local whose, at, json = newest:match('^(%S+) (%d+) (.*)$')
  local holds, others = { { whose, tonumber(at), json } }, redis.call('HGET', more, member)
  for _, hold in ipairs(others and cmsgpack.unpack(others) or {}) do holds[#holds + 1] = hold end
  return holds
end

-- Puts the incarnation's hold in the place of the one that it had; without JSON it has none any more. Answers what others saw before and see now.
local function put(member, at, json)
  local before, after = holds_of(member), {}
  for _, hold in ipairs(before) do
    if hold[1] ~= incarnation then after[#after + 1] = hold end
  end
  if json then
    local place = 1
    local function is_newer(hold) return hold[2] > at or (hold[2] == at and hold[1] < incarnation) end
    while after[place] and is_newer(after[place]) do place = place + 1 end
    table.insert(after, place, { incarnation, at, json })
  end
  local newest = table.remove(after, 1)
  if newest then
    redis.call('HSET', shown, member, newest[1] .. ' ' .. int(newest[2]) .. ' ' .. newest[3])
  else
    redis.call('HDEL', shown, member)
  end
  if after[1] then
    redis.call('HSET', more, member, cmsgpack.pack(after))
  else
    redis.call('HDEL', more, member)
  end
  redis.call(json and 'SADD' or 'SREM', by, member)
  return before[1] and before[1][3], newest and newest[3]
end

-- What is to be told of changes, up to so many members and about so many bytes.
local told = { set = {}, gone = {}, bytes = 0, before = shown and redis.call('HLEN', shown) or 0 }
local function tell(member, before, after)
  if before == after then return end
  if after then
    told.set[#told.set + 1], told.bytes = after, told.bytes + #after
  else
    told.gone[#told.gone + 1] = '"' .. member .. '"'
  end
end
local function is_full(entries, bytes) return #told.set + #told.gone >= entries or told.bytes >= bytes end

-- Appends a record to the log of KEYS[at] and rings its bell. What nobody watches has no log.
local function append(at, log_limits, head, payload)
  local meta, log, bell = KEYS[at], KEYS[at + 1], KEYS[at + 2]
  if redis.call('EXISTS', meta) == 0 then return end
  local topic, record = open(meta, log, fence, fresh), head.record .. payload
  topic.seq = topic.seq + 1
  redis.call('XADD', log, 'MAXLEN', '~', log_limits.messages, topic.gen .. '-' .. int(topic.seq),
    't', int(now), 'b', int(topic.bytes), 'd', record)
  topic.bytes = topic.bytes + head.cost + #payload
  redis.call('HSET', meta, 'n', int(topic.seq), 'b', int(topic.bytes))
  trim(log, topic.bytes, now, log_limits.age, log_limits.bytes)
  redis.call('PEXPIRE', log, int(log_limits.age))
  redis.call('PEXPIRE', meta, int(log_limits.meta_age))
  redis.call('PUBLISH', bell, topic.epoch .. ' ' .. int(topic.seq) .. ' ' .. framed(record))
end

-- Writes what is to be told. ARGV[at] on: the logs' age, meta age, messages and bytes, then record and cost of a diff and of a count without their payloads.
local function append_told(at)
  local limits = { age = tonumber(ARGV[at]), meta_age = tonumber(ARGV[at + 1]), messages = ARGV[at + 2], bytes = tonumber(ARGV[at + 3]) }
  local function head(from) return { record = ARGV[from], cost = tonumber(ARGV[from + 1]) } end
  local count = redis.call('HLEN', shown)
  if #told.set + #told.gone > 0 then
    local lists = '{"set":[' .. table.concat(told.set, ',') .. '],"gone":[' .. table.concat(told.gone, ',') .. ']'
    append(5, limits, head(at + 4), lists .. ',"count":' .. int(count) .. '}')
  end
  if count ~= told.before then append(8, limits, head(at + 6), '{"count":' .. int(count) .. '}') end
end

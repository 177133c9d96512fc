-- Asks leave to handle a message. Answers the epoch, "run", "done", "running" or "unknown", the state where it is done, and how much was ever forgotten.
local producer, n, seen, sent, run, again = ARGV[4], ARGV[5], tonumber(ARGV[6]), ARGV[7], ARGV[8], ARGV[9] == '1'
local process, lease_ms = ARGV[10], ARGV[11]
local now, current = now_ms(), epoch()
local function answer(what, state) return { current, what, state or '', number(redis.call('HGET', meta, 'd')) } end

forget_old(now)
local state, floor = unpack(redis.call('HMGET', of(producer), n, 'f'))
if state and state:sub(1, 1) ~= 's' then return answer('done', state) end
if state then
  local by, at = state:match('^s(%x+):(%x+)$')
  if by == process and at == run then return answer('run') end
  if redis.call('EXISTS', lease(by)) == 1 then return answer('running') end
  if not again then return answer('unknown') end
elseif not again then
  if tonumber(n) <= number(floor) then return answer('unknown') end
  if sent ~= '' and sent ~= current then return answer('unknown') end
  local known = redis.call('EXISTS', of(producer)) == 1
  if sent ~= '' and not known and number(redis.call('HGET', meta, 'g')) > now then return answer('unknown') end
end

redis.call('SET', lease(process), '1', 'PX', lease_ms)
put(producer, n, 's' .. process .. ':' .. run, now)
if seen > 0 then
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', order(producer), '-inf', int(seen), 'LIMIT', 0, 64)) do drop(producer, old) end
  raise_floor(producer, seen)
end
keep_bounds(producer, now, tonumber(ARGV[12]), tonumber(ARGV[13]), tonumber(ARGV[14]), tonumber(ARGV[15]))
return answer('run')

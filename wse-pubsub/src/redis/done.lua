-- Stores an outcome; the first one stands, and one that was seen or had to give way is not wanted any more.
local producer, n, outcome = ARGV[4], ARGV[5], ARGV[6]
local current = epoch()
local state, floor = unpack(redis.call('HMGET', of(producer), n, 'f'))
if state and state:sub(1, 1) ~= 's' then return current end
if not state and tonumber(n) <= number(floor) then return current end
local now = now_ms()
put(producer, n, outcome, now)
keep_bounds(producer, now, tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]))
return current

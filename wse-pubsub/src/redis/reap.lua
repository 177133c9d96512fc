-- Removes what an incarnation that has lapsed holds of one topic, until what is told of it fills a message. Answers how many members it was, and how many are left.
-- ARGV from the seventh on: entries and bytes of a message, the logs' limits and heads.
local entries, bytes, made = tonumber(ARGV[7]), tonumber(ARGV[8]), 0
if not redis.call('ZSCORE', lapsed, incarnation) then return { 0, 0 } end
for _, member in ipairs(redis.call('SRANDMEMBER', by, entries)) do
  tell(member, put(member, 0, false))
  made = made + 1
  if is_full(entries, bytes) then break end
end
append_told(9)
local left = redis.call('SCARD', by)
if left == 0 then
  redis.call('ZREM', of, name)
  if redis.call('EXISTS', of) == 0 then
    redis.call('ZREM', lapsed, incarnation)
    redis.call('UNLINK', due)
  end
end
return { made, left }

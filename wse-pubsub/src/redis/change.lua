-- Changes what an incarnation holds of one topic, until what is told of it fills a message. Answers "done" or "lapsed", how many changes were made, and who was refused.
-- ARGV from the seventh on: the call's number, members of the topic at most, entries and bytes of a message, the logs' limits and heads; then member, at, JSON of each.
local number, members, entries, bytes = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10])

refence()
if not redis.call('ZSCORE', leases, incarnation) then return { 'lapsed', 0, {} } end
-- One that was late, and whose caller went on without its answer, undoes nothing.
local last = redis.call('ZSCORE', of, name)
if last and tonumber(last) > number then return { 'done', (#ARGV - 18) / 3, {} } end
redis.call('ZADD', of, int(number), name)

local made, refused = 0, {}
for at = 19, #ARGV, 3 do
  local member, json = ARGV[at], ARGV[at + 2] ~= '' and ARGV[at + 2]
  local full = json and redis.call('HLEN', shown) >= members and redis.call('HEXISTS', shown, member) == 0
  if full then
    refused[#refused + 1] = member
  else
    tell(member, put(member, tonumber(ARGV[at + 1]), json))
  end
  made = made + 1
  if is_full(entries, bytes) then break end
end
append_told(11)
-- One that holds nothing of the topic any more knows the number for as long as a late call may come.
local holds = redis.call('EXISTS', by) == 1
redis.call('ZADD', due, int(now + (holds and keep_ms / 2 or 60000)), name)
expire({ shown, more, by, of, due })
return { 'done', made, refused }

-- Where each of some members of a namespace stands: {epoch, seq}, or {'', 0} for one that is forgotten, which is no member any
-- more. KEYS: the members, then each one's meta; ARGV from the third on: their names.
local fence, fresh, positions = ARGV[1], ARGV[2], {}
for i = 1, #KEYS - 1 do
  local meta = KEYS[i + 1]
  if redis.call('EXISTS', meta) == 1 then
    local topic = open(meta, nil, fence, fresh .. '-' .. i)
    positions[i] = { topic.epoch, topic.seq }
  else
    redis.call('ZREM', KEYS[1], ARGV[i + 2])
    positions[i] = { '', 0 }
  end
end
return positions

-- Who is in a topic, and where the log stands that tells of it. ARGV from the seventh on: the log's meta age, and whether the members are wanted, or their count alone.
local list = ARGV[8] == '1'
local meta, log = KEYS[list and 5 or 8], KEYS[list and 6 or 9]
local topic = open(meta, log, fence, fresh)
redis.call('PEXPIRE', meta, ARGV[7])
return { topic.epoch, topic.seq, told.before, list and redis.call('HVALS', shown) or {} }

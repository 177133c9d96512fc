-- Where a births log stands, and the members of its namespace at that moment.
local meta, log, topics = KEYS[1], KEYS[2], KEYS[3]
local births = open(meta, log, ARGV[1], ARGV[2])
redis.call('PEXPIRE', meta, ARGV[3])
redis.call('ZREMRANGEBYSCORE', topics, '-inf', int(now_ms()))
return { births.epoch, births.seq, redis.call('ZRANGE', topics, 0, -1) }

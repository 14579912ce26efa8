-- ARGV: who, channel, news.
local me = ARGV[1]
local first = redis.call('ZRANK', line, me) == 0
redis.call('ZREM', line, me)
redis.call('ZREM', seen, me)
if holder == me then
  -- It was given to who goes, and the answer was lost.
  free()
  first = true
end
if first and not held then
  tell(ARGV[2], ARGV[3])
end
return 1

-- KEYS: owner. ARGV: owner, channel, news.
local recorded = redis.call('GET', KEYS[1])
if recorded and recorded ~= ARGV[1] then
  return 0
end
if not recorded then
  redis.call('SET', KEYS[1], ARGV[1])
  redis.call('PUBLISH', ARGV[2], ARGV[3])
end
return 1

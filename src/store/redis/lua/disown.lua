-- KEYS: owner. ARGV: channel, news, whose it has to be (empty: anybody's).
local recorded = redis.call('GET', KEYS[1])
if recorded and ARGV[3] ~= '' and recorded ~= ARGV[3] then
  return 0
end
if redis.call('DEL', KEYS[1]) == 1 then
  redis.call('PUBLISH', ARGV[1], ARGV[2])
end
return 1

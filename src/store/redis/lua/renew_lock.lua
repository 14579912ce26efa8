-- ARGV: token, microseconds.
if token ~= ARGV[1] then
  return 0
end
ends = now + tonumber(ARGV[2])
redis.call('HSET', lock, 'ends', text(ends))
keep()
return 1

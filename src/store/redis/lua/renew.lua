-- ARGV: proxy, token, microseconds. Gives how many others hold it, or -1.
if record['t:' .. me] ~= ARGV[2] then
  return -1
end
local ends = now + tonumber(ARGV[3])
redis.call('HSET', pin, 'x:' .. me, text(ends))
keep(ends)
return others

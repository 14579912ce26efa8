-- ARGV: proxy, token, closed.
if record['t:' .. me] ~= ARGV[2] then
  return 0
end
redis.call('HDEL', pin, 't:' .. me, 'x:' .. me)
if record.moving == me then
  redis.call('HDEL', pin, 'moving')
end
if others == 0 and ARGV[3] == '1' then
  redis.call('HDEL', pin, 'home', 'ephemeral')
end
keep(now)
return 1

-- ARGV: proxy, token.
if record['t:' .. me] ~= ARGV[2] or not lives(me) then
  return 'lost'
end
if others > 0 then
  return 'shared'
end
redis.call('HSET', pin, 'moving', me)
return 'alone'

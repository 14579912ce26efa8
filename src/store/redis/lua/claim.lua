-- KEYS: pin, owner. ARGV: proxy, microseconds, floor, home, lost home, ephemeral, owner.
local span, floor, wish, lost, ephemeral, owner = ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7]
local recorded = redis.call('GET', KEYS[2])
if recorded and owner ~= '' and recorded ~= owner then
  return {'foreign'}
end
if record.moving and record.moving ~= me and lives(record.moving) then
  return {'moving'}
end
local home = record.home
if not home or home == lost then
  home = wish
end
if record.home then
  ephemeral = record.ephemeral
end
local token, ends = next_token(record.token, floor), now + tonumber(span)
redis.call('HSET', pin, 'home', home, 'ephemeral', ephemeral, 'token', text(token),
  't:' .. me, text(token), 'x:' .. me, text(ends))
redis.call('HDEL', pin, 'moving')
keep(ends)
return {'held', home, token, others, ephemeral}

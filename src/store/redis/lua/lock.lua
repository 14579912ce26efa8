-- ARGV: who, microseconds, floor, label, lines up, microseconds of absence.
local me, span = ARGV[1], tonumber(ARGV[2])
if held and holder == me then
  -- It was ours already: the answer was lost.
  ends = now + span
  redis.call('HSET', lock, 'ends', text(ends))
  keep()
  return {1, tonumber(token)}
end
local gone = redis.call('ZRANGEBYSCORE', seen, '-inf', text(now - tonumber(ARGV[6])))
for _, waiter in ipairs(gone) do
  if waiter ~= me then
    redis.call('ZREM', line, waiter)
    redis.call('ZREM', seen, waiter)
  end
end
local ahead = redis.call('ZRANK', line, me)
if not ahead then
  ahead = redis.call('ZCARD', line)
end
if not held and ahead == 0 then
  local fresh = next_token(last, ARGV[3])
  ends = now + span
  redis.call('ZREM', line, me)
  redis.call('ZREM', seen, me)
  redis.call('HSET', lock, 'who', me, 'token', text(fresh), 'last', text(fresh), 'ends', text(ends), 'label', ARGV[4],
    'since', text(now))
  keep()
  return {1, fresh}
end
if ARGV[5] == '1' then
  if not redis.call('ZRANK', line, me) then
    redis.call('ZADD', line, redis.call('HINCRBY', lock, 'tickets', 1), me)
    keep()
  end
  redis.call('ZADD', seen, text(now), me)
  redis.call('PEXPIRE', line, MEMO)
  redis.call('PEXPIRE', seen, MEMO)
else
  ahead = 0
end
if held then
  return {0, ahead, label, now - tonumber(since)}
end
return {0, ahead}

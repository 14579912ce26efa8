-- Before the scripts about locks. KEYS: lock, line, seen. The lock's fields: who, label, since, token, ends while somebody has
-- it; last (the last token) and tickets always. `line` has those who wait by ticket, `seen` by when they asked last.
local lock, line, seen = KEYS[1], KEYS[2], KEYS[3]
local MEMO = 60000
local got = redis.call('HMGET', lock, 'who', 'token', 'ends', 'label', 'since', 'last')
local holder, token, ends, label, since, last = got[1], got[2], tonumber(got[3] or '0'), got[4], got[5], got[6]
local held = holder and ends > now

local function keep()
  redis.call('PEXPIRE', lock, math.ceil(math.max(ends - now, 0) / 1000) + MEMO)
end

local function free()
  redis.call('HDEL', lock, 'who', 'token', 'ends', 'label', 'since')
  held, ends = false, now
  keep()
end

-- Only who stands in line has to hear of it.
local function tell(channel, news)
  if redis.call('ZCARD', line) > 0 then
    redis.call('PUBLISH', channel, news)
  end
end

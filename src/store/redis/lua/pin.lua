-- Before the scripts about pins. KEYS[1]: the pin; ARGV[1]: the proxy that asks.
-- Fields: home, ephemeral, token (the last one), moving (a proxy), and for each holder t:PROXY (its token), x:PROXY (its end).
local pin, me = KEYS[1], ARGV[1]
local MEMO = 60000
local record = {}
local fields = redis.call('HGETALL', pin)
for i = 1, #fields, 2 do
  record[fields[i]] = fields[i + 1]
end

-- Holds of others whose time is over are taken away; our own stays ours as long as nobody came by.
local others, last = 0, now
for field, value in pairs(record) do
  local holder = string.match(field, '^x:(.*)$')
  if holder and holder ~= me then
    local ends = tonumber(value)
    if ends > now then
      others = others + 1
      last = math.max(last, ends)
    else
      redis.call('HDEL', pin, field, 't:' .. holder)
    end
  end
end

local function lives(holder)
  local ends = record['x:' .. holder]
  return ends and tonumber(ends) > now
end

-- The record outlives its last holder by a minute: the home is remembered so long.
local function keep(ends)
  redis.call('PEXPIRE', pin, math.ceil((math.max(last, ends) - now) / 1000) + MEMO)
end

-- Before every script: the server's own clock in microseconds, so that all proxies go by one.
local clock = redis.call('TIME')
local now = tonumber(clock[1]) * 1000000 + tonumber(clock[2])

-- Lua writes large numbers as 1.7e+15, which nobody reads back.
local function text(number)
  return string.format('%.0f', number)
end

-- Larger than every token before it. A counter of INCR begins anew in a store that restarted empty, and repeats itself in a
-- replica that took over without the last changes; time goes on in both. `floor` is the largest that the proxy has seen, for a
-- server whose clock is behind that of the one before it.
local function next_token(last, floor)
  return math.max((tonumber(last) or 0) + 1, now, tonumber(floor) + 1)
end

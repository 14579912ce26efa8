-- ARGV: proxy.
if others > 0 or lives(me) then
  return 1
end
return 0

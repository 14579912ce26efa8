-- ARGV: token, channel, news. Who only looks first and deletes then (GET, DEL) may delete the hold of somebody who came in
-- between; here nobody comes in between.
if token ~= ARGV[1] then
  return 0
end
free()
tell(ARGV[2], ARGV[3])
return 1

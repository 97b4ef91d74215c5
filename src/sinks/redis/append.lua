-- One room's entries, all or none: a refusal comes with the first write, before anything is written.
-- Answers where the stream stands afterwards, as an entry's id.
-- KEYS: the stream. ARGV: epoch, what it has to hold already, what this goes up to, the first entry to keep,
-- seconds to live, the channel; then for each entry its seq, its message, how many words its fields are, and these.
local epoch = tonumber(ARGV[1])
local last_epoch, last = 0, 0
local info = redis.pcall('XINFO', 'STREAM', KEYS[1])
for i = 1, #info, 2 do
  if info[i] == 'last-generated-id' then
    local ms, seq = string.match(info[i + 1], '^(%d+)-(%d+)$')
    last_epoch, last = tonumber(ms), tonumber(seq)
    if last_epoch > epoch then return info[i + 1] end
  end
end
if last_epoch < epoch then last = 0 end
if last < tonumber(ARGV[2]) then return ARGV[1] .. '-' .. string.format('%.0f', last) end
local i = 7
while ARGV[i] do
  local words = tonumber(ARGV[i + 2])
  if tonumber(ARGV[i]) > last then
    redis.call('XADD', KEYS[1], ARGV[1] .. '-' .. ARGV[i], unpack(ARGV, i + 3, i + 2 + words))
    redis.call('PUBLISH', ARGV[6], ARGV[i + 1])
  end
  i = i + 3 + words
end
if ARGV[4] ~= '0' then redis.call('XTRIM', KEYS[1], 'MINID', ARGV[1] .. '-' .. ARGV[4]) end
redis.call('EXPIRE', KEYS[1], ARGV[5])
return ARGV[1] .. '-' .. ARGV[3]

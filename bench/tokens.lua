-- For wrk: sends GET with the tokens of a file, one after the other, beginning anywhere.
--
--   wrk -s tokens.lua URL -- FILE
--
-- The requests are made before the clock starts, so that picking one costs the same for one token and for
-- many.

local requests, last = {}, 0

function init(args)
  for token in io.lines(args[1]) do
    local headers = { Host = wrk.headers["Host"], Authorization = "Bearer " .. token }
    requests[#requests + 1] = wrk.format("GET", nil, headers)
  end
  math.randomseed(os.time())
  last = math.random(#requests)
end

function request()
  last = last % #requests + 1
  return requests[last]
end

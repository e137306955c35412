-- For wrk: exchanges refresh tokens, each for the next. The file has one for each connection, and one more,
-- because wrk makes a request before it begins, which it does not send.
--
--   wrk -t1 -s refreshes.lua URL -- FILE

local tokens = {}

function init(args)
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
  for token in io.lines(args[1]) do
    tokens[#tokens + 1] = token
  end
end

function request()
  return wrk.format(nil, nil, nil, '{"refresh_token":"' .. table.remove(tokens) .. '"}')
end

function response(status, headers, body)
  tokens[#tokens + 1] = body:match('"refresh_token":"([^"]+)"')
end

-- Asks Sherpa who makes a request, for haproxy.cfg beside this file: http-request lua.sherpa_verify URL

local unavailable = '{"type":"/problems/unavailable","title":"The service cannot answer at this moment",' ..
	'"status":503,"detail":"The proxy got no answer. Nothing was changed; try again.","code":"unavailable"}'

-- What a client needs of a refusal.
local kept = {
	"content-type", "www-authenticate", "retry-after", "cache-control", "x-content-type-options", "x-request-id",
}

-- values makes a list of the values of a header, which HAProxy counts from 0.
local function values(headers, name)
	local list, found, i = {}, headers and headers[name] or {}, 0
	while found[i] do
		list[#list + 1] = found[i]
		i = i + 1
	end
	return list
end

local function first(headers, name)
	return values(headers, name)[1] or ""
end

local function refuse(txn, answer)
	local reply = { status = answer.status, headers = {}, body = answer.body }
	for _, name in ipairs(kept) do
		local list = values(answer.headers, name)
		if #list > 0 then
			reply.headers[name] = list
		end
	end
	-- Without a problem document, it was not Sherpa that answered.
	if first(answer.headers, "content-type") ~= "application/problem+json" then
		reply = { status = 503, body = unavailable, headers = {
			["content-type"] = { "application/problem+json" }, ["cache-control"] = { "no-store" },
			["retry-after"] = { "2" },
		} }
	end
	txn:done(txn:reply(reply))
end

core.register_action("sherpa_verify", { "http-req" }, function(txn, url)
	local asked = txn.http:req_get_headers()
	local headers = {
		["host"] = { first(asked, "host") },
		["x-forwarded-for"] = { txn.sf:src() },
		["x-request-id"] = { first(asked, "x-request-id") },
	}
	local authorization = values(asked, "authorization") -- all of them: Sherpa refuses two
	if #authorization > 0 then
		headers["authorization"] = authorization
	end
	local answer = core.httpclient():get({ url = url, headers = headers, timeout = 4000 })
	if answer.status ~= 200 then
		return refuse(txn, answer)
	end
	for _, name in ipairs({ "Remote-User", "Remote-User-Id", "Remote-Groups", "Remote-Session" }) do
		local value = first(answer.headers, name:lower())
		if value ~= "" then
			txn.http:req_set_header(name, value)
		end
	end
	txn:set_var("txn.verified", true)
end, 1)

# shellcheck shell=bash
# What bench/postgres and bench/capacity share: the statements that Sherpa sends to PostgreSQL, read from the log of the
# server, and scripts for pgbench made of them. It is sourced after lib.sh.

readonly password='correct horse battery staple'

# ask PORT PATH [OPTION]... is one request to a Sherpa on this machine.
ask() {
  local url=http://127.0.0.1:$1$2
  shift 2
  curl --silent --show-error --fail-with-body --noproxy '*' --max-time 10 "$@" "$url"
}

# post PORT PATH DOCUMENT
post() {
  ask "$1" "$2" --header 'Content-Type: application/json' --data "$3"
}

# record NAME COMMAND... runs it and writes the statements that PostgreSQL was asked meanwhile to $tmp/NAME.statements,
# one a line, without those of the feed.
record() {
  local name=$1 before
  shift
  before=$(stat -c %s "$tmp/postgres.err")
  "$@"
  tail -c "+$((before + 1))" "$tmp/postgres.err" | read_log | grep -v 'FROM revocations' >"$tmp/$name.statements"
}

# read_log joins the lines of a statement, and leaves out the rest.
read_log() {
  awk '
    function flush() { if (text != "") print text; text = "" }
    /^LOG:  (execute [^:]*|statement): / { flush(); sub(/^LOG:  (execute [^:]*|statement): /, ""); text = $0; next }
    /^\t/ && text != "" { sub(/^\t+/, " "); text = text $0; next }
    { flush() }
    END { flush() }'
}

# record_all PORT KEY TOKENS starts a Sherpa whose statements PostgreSQL logs, and records what a login, a refresh, the same
# refresh again (its second statement refreshes one session alone), a request of a session that is not remembered, a
# logout and a poll of the feed ask for.
record_all() {
  local on=$1 key=$2 tokens=$3 name='{"username":"user1","password":"'$password'"}' refresh
  start recorder "$on" env -i "SHERPA_SECRET_KEY=$key" "$tmp/sherpa" --log-format json --listen "127.0.0.1:$on" \
    --database-url "$database?log_statement=all"
  post "$on" /auth "$name" >/dev/null # so that nothing is left to prepare
  record login post "$on" /auth "$name" >"$tmp/login.answer"
  refresh=$(sed -n 's/.*"refresh_token":"\([^"]*\)".*/\1/p' "$tmp/login.answer")
  record refresh post "$on" /auth/refresh "{\"refresh_token\":\"$refresh\"}" >/dev/null
  record again post "$on" /auth/refresh "{\"refresh_token\":\"$refresh\"}" >/dev/null
  record identity ask "$on" /mountain/x --header "Authorization: Bearer $(tail -n 1 "$tokens")" >/dev/null
  record logout ask "$on" /auth/logout --request POST --header "Authorization: Bearer $(tail -n 1 "$tokens")"
  sleep 1 # two polls
  end recorder
  read_log <"$tmp/postgres.err" | awk '/FROM revocations WHERE/ && !n++' >"$tmp/feed.statements"
}

# expect NAME NUMBER fails when Sherpa asks more or less than a script for pgbench does.
expect() {
  local is
  is=$(wc -l <"$tmp/$1.statements")
  ((is == $2)) || fail "a $1 has $is statements and no longer $2; change $self: $(cat "$tmp/$1.statements")"
}

# statement NAME NUMBER VALUE... prints the statement with variables of pgbench in place of $1, $2, ...
statement() {
  local text place
  text=$(sed -n "${2}p" "$tmp/$1.statements")
  shift 2
  for ((place = $#; place > 0; place--)); do
    [[ $text == *"\$$place"* ]] || fail "no \$$place in: $text"
    text=${text//"\$$place"/${!place}}
  done
  [[ $text != *'$'* ]] || fail "more parameters than $# in: $text"
  printf '%s' "$text"
}

# shellcheck shell=bash
# What the scripts share that compare servers on GET /mountain/x. They source it after lib.sh, and declare:
# the names of the servers, and by name their title and port; rounds and seconds; startup_port. Every server
# has core 0 while it is asked, and wrk has core 1. The servers take turns in every round, so that a drift of
# the machine hits all alike.

declare -A token=() # by name: what to send
declare -A scheme   # by name; http where a script declares none
readonly connections=32 starts=10 warmup=$((seconds < 2 ? seconds : 2))
# An hour, as gin-jwt's README has it: the token must outlive the run. The demo user is there by itself on
# 127.0.0.1.
readonly sherpa_settings=(--access-ttl 1h --log-format json)

# start_on_core NAME PROGRAM...
start_on_core() {
  local name=$1
  shift
  start "$name" "${port[$name]}" taskset -c 0 env -i GOMAXPROCS=1 "$@"
}

start_rival() {
  start_on_core "$1" "$tmp/rivals" -kind "$1" -listen "127.0.0.1:${port[$1]}"
}

# start_sherpa NAME [SETTING]...
start_sherpa() {
  local name=$1
  shift
  start_on_core "$name" "$tmp/sherpa" "${sherpa_settings[@]}" --listen "127.0.0.1:${port[$name]}" \
    --database-url "sqlite:$tmp/$name.db" "$@"
}

# ask NAME PATH [OPTION]... is one request.
ask() {
  local name=$1 path=$2
  shift 2
  curl --silent --show-error --fail-with-body --noproxy '*' --max-time 10 "$@" \
    "${scheme[$name]:-http}://127.0.0.1:${port[$name]}$path"
}

# log_in NAME PATH MEMBER BODY keeps the token that a login answers with.
log_in() {
  local answer
  answer=$(ask "$1" "$2" --header 'Content-Type: application/json' --data "$4")
  token[$1]=$(sed -n "s/.*\"$3\":\"\([^\"]*\)\".*/\1/p" <<<"$answer")
  [[ -n ${token[$1]} ]] || fail "${title[$1]}: no token in $answer"
}

log_in_gin_jwt() {
  log_in "$1" /login token '{"username":"admin","password":"admin"}'
}

log_in_sherpa() {
  log_in "$1" /auth access_token '{"username":"sherpa","password":"everest"}'
}

# check_answers makes sure that all do the same work, and that those who should refuse do.
check_answers() {
  local name answer status
  for name in "${names[@]}"; do
    answer=$(ask "$name" /mountain/x --header "Authorization: Bearer ${token[$name]}")
    [[ $answer == '{"mountain":"x"}' ]] || fail "${title[$name]} answers $answer"
    [[ $name != bare ]] || continue
    status=$(ask "$name" /mountain/x --output "$tmp/refusal" --write-out '%{http_code}' 2>/dev/null) || true
    [[ $status == 401 ]] || fail "${title[$name]} answers $status to a request without a token"
  done
}

# load NAME SECONDS
load() {
  by_wrk "$1" timeout "$(($2 + 20))" taskset -c 1 wrk -t1 "-c$connections" "-d${2}s" --latency \
    -H "Authorization: Bearer ${token[$1]}" "${scheme[$1]:-http}://127.0.0.1:${port[$1]}/mountain/x"
}

# load_all keeps for each round what by_wrk prints, and the server's resident memory in KiB.
load_all() {
  local name round measured
  for name in "${names[@]}"; do
    load "$name" "$warmup" >/dev/null
  done
  for ((round = 1; round <= rounds; round++)); do
    for name in "${names[@]}"; do
      measured=$(load "$name" "$seconds")
      echo "$measured $(kib "$name" VmRSS)" >>"$tmp/$name.rounds"
    done
  done
}

# middle NAME COLUMN is the median over the rounds.
middle() {
  median "$tmp/$1.rounds" "$2"
}

print_load_title() {
  echo "GET /mountain/x: $connections connections, one core for the server;" \
    "median of $rounds rounds of $seconds s"
  echo
}

# measure_start TITLE IDLE URL-PATH STATUS PROGRAM... starts the program several times, with all cores: a
# server is usually started with all that the machine has. It leaves in $tmp/start: the milliseconds to the
# first answer, the MiB of memory after the idle time unless that is 0, and the MB of the program.
measure_start() {
  local name=$1 idle=$2 path=$3 status=$4
  shift 4
  # In the background, where a signal to this script can end it.
  env -i "$tmp/startup" -runs "$starts" -idle "$idle" -status "$status" \
    -url "http://127.0.0.1:$startup_port$path" "$@" >"$tmp/startup.out" &
  pids+=($!)
  wait "$!" || fail "$name: the start could not be measured"
  pids=()
  echo "$(<"$tmp/startup.out") $(stat -c %s "$1" | awk '{ printf "%.1f", $1 / 1e6 }')" >"$tmp/start"
}

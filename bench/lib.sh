# shellcheck shell=bash
# What the scripts of this folder share. They source it: it makes the folder $tmp and enters the project. When
# the script ends, it ends every process in the background and removes every folder that the script made.

self=bench/$(basename "$0")
declare -A server=() # by name: the process
pids=()              # of all processes in the background
readonly password='correct horse battery staple'

fail() {
  echo "$self: $*" >&2
  exit 1
}

# stop ends every process that was started, the last one first, and waits until it has ended.
stop() {
  local i
  for ((i = ${#pids[@]} - 1; i >= 0; i--)); do
    kill "${pids[i]}" 2>/dev/null || true
    wait "${pids[i]}" 2>/dev/null || true
  done
  pids=()
}

# end NAME ends one server.
end() {
  local pid others=()
  for pid in "${pids[@]}"; do
    [[ $pid == "${server[$1]}" ]] || others+=("$pid")
  done
  kill "${server[$1]}" 2>/dev/null || true
  wait "${server[$1]}" 2>/dev/null || true
  pids=("${others[@]}")
}

clean() {
  trap '' INT TERM # so that a second Ctrl-C leaves no server behind
  stop
  rm -rf "${folders[@]}"
}

# need TOOL... also looks for what every script needs.
need() {
  local tool
  for tool in go git curl timeout "$@"; do
    command -v "$tool" >/dev/null || fail "$tool is missing"
  done
}

# need_cores is for scripts that give the server core 0 and the load core 1.
need_cores() {
  need taskset wrk
  taskset -c 0,1 true 2>/dev/null || fail 'cores 0 and 1 are needed'
}

# need_numbers USAGE NUMBER... wants whole numbers from 1 on.
need_numbers() {
  local usage=$1 number
  shift
  for number in "$@"; do
    [[ $number =~ ^[1-9][0-9]{0,7}$ ]] || fail "usage: $usage"
  done
}

# build NAME PACKAGE [FOLDER] makes the program $tmp/NAME. The folder is that of another module than ours.
build() {
  CGO_ENABLED=0 go -C "${3:-.}" build -trimpath -ldflags='-s -w' -o "$tmp/$1" "$2"
}

# build_all also makes a signing key, $key.
build_all() {
  build sherpa .
  build fill ./bench/fill
  build load ./bench/load
  key=$("$tmp/sherpa" key new)
}

listens() {
  (: <>"/dev/tcp/127.0.0.1/$1") 2>/dev/null
}

# start NAME PORT PROGRAM... starts a server and waits until it listens. The program should begin with `env
# -i`, which keeps the settings of the caller's shell out.
start() {
  local name=$1 on=$2 left
  shift 2
  ! listens "$on" || fail "another program listens on port $on"
  "$@" >"$tmp/$name.out" 2>"$tmp/$name.err" &
  pids+=($!)
  server[$name]=$!
  for ((left = 100; left > 0; left--)); do
    ! listens "$on" || return 0
    sleep 0.1
  done
  cat "$tmp/$name.err" >&2
  fail "$name does not listen"
}

# need_postgres finds PostgreSQL, which Debian keeps off PATH.
need_postgres() {
  PATH=$(printf '%s\n' /usr/lib/postgresql/*/bin | sort -V | tail -n 1):$PATH
  need initdb postgres psql pgbench pg_isready
  ((EUID != 0)) || need setpriv
}

# start_postgres PORT starts a PostgreSQL server with an empty database, whose URL is then $database. It has
# the default settings, so that a committed change is on the disk. psql and pgbench talk to it without further
# options.
start_postgres() {
  local folder owner=postgres as=() left
  unset "${!PG@}"
  export PGHOST=127.0.0.1 PGPORT=$1 PGUSER=postgres PGDATABASE=postgres
  database=postgres://$PGUSER@$PGHOST:$PGPORT/$PGDATABASE
  folder=$(mktemp -d)
  folders+=("$folder")
  if ((EUID == 0)); then # PostgreSQL refuses to run as root
    id "$owner" >/dev/null 2>&1 || owner=nobody
    as=(setpriv --reuid "$owner" --regid "$(id -g "$owner")" --clear-groups)
    chown "$owner" "$folder"
  fi
  as=(env -C "$folder" "${as[@]}")
  "${as[@]}" initdb -D data -U "$PGUSER" -A trust --encoding UTF8 --locale C --no-sync >"$tmp/initdb.out"
  start postgres "$PGPORT" "${as[@]}" postgres -D data -p "$PGPORT" -c "listen_addresses=$PGHOST" \
    -c unix_socket_directories= -c log_line_prefix=
  for ((left = 100; left > 0; left--)); do
    ! pg_isready -q || return 0
    sleep 0.1
  done
  fail 'PostgreSQL does not answer'
}

# sql STATEMENT... prints the rows of each.
sql() {
  local arguments=() statement
  for statement in "$@"; do
    arguments+=(-c "$statement")
  done
  psql --no-psqlrc --quiet --no-align --tuples-only --field-separator ' ' --set ON_ERROR_STOP=1 \
    "${arguments[@]}"
}

# run_load SECONDS ARGUMENT... is the program bench/load, in the background, where a signal to this script can
# end it.
run_load() {
  local longest=$1
  shift
  timeout "$longest" "$tmp/load" "$@" >"$tmp/load.out" &
  pids+=($!)
  wait "$!" || fail "load $* failed"
  unset 'pids[-1]'
  cat "$tmp/load.out"
}

# kib NAME FIELD reads a size of a server (proc(5), status), such as VmRSS.
kib() {
  awk -v field="$2:" '$1 == field { print $2 }' "/proc/${server[$1]}/status"
}

# ticks NAME prints how much processor time the server has used (proc(5), stat: utime and stime).
ticks() {
  awk '{ print $14 + $15 }' "/proc/${server[$1]}/stat"
}

# ticks_of_family NAME is ticks of a server with its children, ended ones included.
ticks_of_family() {
  { sed 's/(.*)/-/' /proc/[0-9]*/stat 2>/dev/null || true; } | awk -v parent="${server[$1]}" '
    $1 == parent { sum += $14 + $15 + $16 + $17 }
    $4 == parent { sum += $14 + $15 }
    END { print sum }'
}

# microseconds TICKS TICKS is the time between two readings.
microseconds() {
  echo "$((($2 - $1) * 1000000 / $(getconf CLK_TCK)))"
}

# served NAME ARGUMENT... is run_load with the processor time of the server for each request, in microseconds,
# in place of the load's own.
served() {
  local name=$1 before after
  shift
  before=$(ticks "$name")
  run_load "$@" >"$tmp/served"
  after=$(ticks "$name")
  awk -v cpu="$(microseconds "$before" "$after")" '{ print $1, $2, cpu / $2 }' "$tmp/served"
}

# median FILE COLUMN keeps all digits: awk's print keeps six, and a median that was rounded twice can be larger
# than the best round.
median() {
  cut -d' ' -f"$2" "$1" | sort -g |
    awk '{ v[NR] = $1 } END { printf "%.12g\n", (v[int((NR + 1) / 2)] + v[int((NR + 2) / 2)]) / 2 }'
}

# spread FILE COLUMN is how far apart the best and the worst round are, in percent of the median: the noise of
# the run.
spread() {
  cut -d' ' -f"$2" "$1" | sort -g |
    awk -v median="$(median "$1" "$2")" '{ v[NR] = $1 } END { print 100 * (v[NR] - v[1]) / median }'
}

# by_wrk NAME COMMAND... lets wrk ask a server. It prints: requests per second, the p50 and the p99, and the
# processor time for one request, these three in microseconds, and how many requests there were. It fails
# unless every request succeeded.
by_wrk() {
  local name=$1 before after report
  shift
  before=$(ticks "$name")
  report=$("$@")
  after=$(ticks "$name")
  awk -v cpu="$(microseconds "$before" "$after")" '
    function us(t) { return t ~ /us$/ ? t + 0 : t ~ /ms$/ ? t * 1e3 : t ~ /m$/ ? t * 6e7 : t * 1e6 }
    /Non-2xx|Socket errors/ { exit bad = 1 }
    $1 == "50%" { p50 = us($2) }
    $1 == "99%" { p99 = us($2) }
    $2 == "requests" && $3 == "in" { requests = $1 }
    $1 == "Requests/sec:" { rate = $2 }
    END {
      if (bad || !rate || !p50 || !p99 || !requests) exit 1
      print rate, p50, p99, cpu / requests, requests
    }
  ' <<<"$report" || fail "$name: $report"
}

# refresh_by_wrk NAME PORT CONNECTIONS SECONDS logs in a user for each connection. Then wrk exchanges each
# refresh token for the next. It prints what by_wrk does.
refresh_by_wrk() {
  run_load 60 -kind sessions -url "http://127.0.0.1:$2" -workers "$(($3 + 1))" -password "$password" \
    >"$tmp/chains"
  by_wrk "$1" timeout "$(($4 + 20))" wrk -t1 "-c$3" "-d${4}s" --latency -s bench/refreshes.lua \
    "http://127.0.0.1:$2/auth/refresh" -- "$tmp/chains"
}

print_head() {
  local changes=''
  [[ -z $(git status --porcelain) ]] || changes=', with changes that are not committed'
  echo "date    $(date -u '+%Y-%m-%d %H:%M UTC')"
  echo "CPU     $(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1), $(nproc) cores"
  echo "load    $(cut -d' ' -f1-3 /proc/loadavg) before the run"
  echo "Go      $(go env GOVERSION) $(go env GOOS)/$(go env GOARCH)"
  echo "commit  $(git rev-parse --short HEAD)$changes"
  echo
}

print_load_after() {
  echo "load    $(cut -d' ' -f1-3 /proc/loadavg) after the run"
}

print_spread() {
  echo 'spread: from the worst round to the best; over 10 % means that the machine was busy otherwise'
}

cd "$(dirname "${BASH_SOURCE[0]}")/.."
tmp=$(mktemp -d)
folders=("$tmp")
readonly self tmp
trap clean EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

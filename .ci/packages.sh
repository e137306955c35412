# shellcheck shell=bash
# What the scripts of this folder install. They source it.

install_packages() { # COMMAND:PACKAGE...: the Debian packages whose command is missing
  local missing=() pair
  for pair in "$@"; do
    command -v "${pair%%:*}" > /dev/null || missing+=("${pair#*:}")
  done
  apt_install "${missing[@]}"
}

install_modules() { # MODULE:PACKAGE...: the Debian packages whose module Debian's Python lacks
  local missing=() pair
  for pair in "$@"; do
    /usr/bin/python3 -c "import ${pair%%:*}" 2> /dev/null || missing+=("${pair#*:}")
  done
  apt_install "${missing[@]}"
}

apt_install() { # PACKAGE...
  [ $# -eq 0 ] && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" > /dev/null
}

# Debian puts initdb where only its own tools look.
install_postgres() {
  compgen -G '/usr/lib/postgresql/*/bin/initdb' > /dev/null || install_packages initdb:postgresql
}

# prometheus_folder prints where prometheus and promtool are. Debian's package would start a service, so it is
# unpacked into the cache, and not installed.
prometheus_folder() {
  local cache=${XDG_CACHE_HOME:-$HOME/.cache}/sherpa-ci/prometheus program
  if program=$(command -v promtool) && command -v prometheus > /dev/null; then
    dirname "$program"
    return
  fi
  if [[ ! -x $cache/usr/bin/prometheus ]]; then
    mkdir -p "$cache"
    apt-get update -qq >&2
    (cd "$cache" && apt-get download -qq -o APT::Sandbox::User=root prometheus >&2)
    dpkg-deb -x "$cache"/prometheus_*.deb "$cache"
    rm "$cache"/prometheus_*.deb
  fi
  printf '%s\n' "$cache/usr/bin"
}

# install_go PACKAGE@VERSION prints the path of the program, which stays in the cache for the next run.
install_go() {
  local folder=${XDG_CACHE_HOME:-$HOME/.cache}/sherpa-ci/${1//\//-} program
  program=$(compgen -G "$folder/*") || {
    GOBIN=$folder CGO_ENABLED=0 go install "$1"
    program=$(compgen -G "$folder/*")
  }
  printf '%s\n' "$program"
}

# shellcheck shell=bash
# What the scripts of this folder install from Debian. It is sourced.

install_packages() { # COMMAND:PACKAGE...: those whose command is missing
  local missing=() pair
  for pair in "$@"; do
    command -v "${pair%%:*}" > /dev/null || missing+=("${pair#*:}")
  done
  [ ${#missing[@]} -eq 0 ] && return
  apt-get update -qq
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" > /dev/null
}

# postgres_bin prints the folder of initdb and pg_ctl: Debian puts them where only its own tools look.
postgres_bin() {
  local dir
  for dir in /usr/lib/postgresql/*/bin "$(dirname "$(command -v initdb || echo /none/)")"; do
    if [ -x "$dir/initdb" ]; then echo "$dir"; return; fi
  done
}

need_postgres() {
  [ -n "$(postgres_bin)" ] || install_packages initdb:postgresql
}

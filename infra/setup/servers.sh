# NATS, PostgreSQL and Redis: from PATH where new enough, else unpacked from Debian's packages.
# Sourced by infra/setup.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # root, tools and debian come from the files before this one

nats_minimum=2.12
postgres_minimum=15
redis_minimum=7

has_servers() {
  [ -x "$tools/bin/nats-server" ] && [ -x "$tools/bin/postgres" ] &&
    [ -x "$tools/bin/initdb" ] && [ -x "$tools/bin/redis-server" ]
}

prepare_servers() {
  [ -x "$tools/bin/nats-server" ] || prepare_nats
  { [ -x "$tools/bin/postgres" ] && [ -x "$tools/bin/initdb" ]; } || prepare_postgres
  [ -x "$tools/bin/redis-server" ] || prepare_redis
}

# The stable suites carry servers older than 2.12; the package from a newer suite is one static
# program that needs nothing but a C library which all supported systems have.
prepare_nats() {
  if find_server nats-server $nats_minimum; then return; fi
  fetch "NATS from Debian's packages" fetch_nats forky
  [ "$failed" = no ] || fetch "NATS from Debian's newest packages" fetch_nats sid
  [ "$failed" = no ] || is_missing \
    "nats-server >= $nats_minimum: package nats-server of Debian 14, or https://nats.io/download"
}

prepare_postgres() {
  if find_postgres; then return; fi
  fetch "PostgreSQL from Debian's packages" fetch_postgres
  [ "$failed" = no ] || is_missing "postgres and initdb >= $postgres_minimum: package postgresql"
}

prepare_redis() {
  if find_server redis-server $redis_minimum; then return; fi
  fetch "Redis from Debian's packages" fetch_redis
  [ "$failed" = no ] || is_missing "redis-server >= $redis_minimum: package redis-server"
}

# find_server NAME MINIMUM
find_server() {
  for found in $(on_path "$1"); do
    if at_least "$2" "$(version_of "$found")"; then
      link "$found" "$1"
      return
    fi
  done
  return 1
}

# Debian keeps PostgreSQL's programs out of PATH; initdb and postgres must be a pair.
find_postgres() {
  [ -z "${RASTRO_IGNORE_SYSTEM_BINARIES-}" ] || return 1
  for found in $(on_path postgres) /usr/lib/postgresql/*/bin/postgres; do
    [ -x "$found" ] || continue
    pair=$(dirname "$(readlink -f "$found")")
    if [ -x "$pair/initdb" ] && at_least $postgres_minimum "$(version_of "$found")"; then
      link "$pair/postgres" postgres
      link "$pair/initdb" initdb
      return
    fi
  done
  return 1
}

fetch_nats() {
  use_suite "$1"
  unpack nats "$1" nats-server
  at_least $nats_minimum "$(version_of "$debian/nats/usr/sbin/nats-server")"
  link ../debian/nats/usr/sbin/nats-server nats-server
}

fetch_postgres() {
  read_package_lists system
  # The package "postgresql" only names the one that this release carries.
  major=$(apt_with system install --simulate --no-install-recommends --reinstall postgresql |
    grep -Eo '(^| )postgresql-[0-9]+' | head -n 1 | grep -Eo '[0-9]+') ||
    major=$(apt-cache depends postgresql | grep -Eo 'postgresql-[0-9]+' | grep -Eo '[0-9]+')
  unpack postgres system "postgresql-$major" "postgresql-client-$major"
  wrap postgres "usr/lib/postgresql/$major/bin/initdb" $postgres_minimum
  wrap postgres "usr/lib/postgresql/$major/bin/postgres" $postgres_minimum
}

fetch_redis() {
  unpack redis system redis-server redis-tools
  wrap redis usr/bin/redis-server $redis_minimum
}

# How a step of the set-up speaks, fails and keeps others out. Sourced by infra/setup.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # root and tools come from infra/setup.sh

say() {
  printf 'setup: %s\n' "$*" >&2
}

# attempt TITLE COMMAND... : says in one line what is done and how long it took, and leaves in
# $failed whether it went wrong. What the command prints goes to a log file.
# Never call it inside a condition (`if attempt`, `attempt ||`): there a shell ignores -e in
# everything below, and a command would go on after its first error.
attempt() {
  title=$1
  shift
  log=$tools/log/$1.log
  started=$(date +%s)
  printf 'setup: %s ... ' "$title" >&2
  set +e
  (
    set -e
    "$@"
  ) >"$log" 2>&1
  # shellcheck disable=SC2181 # see above why the command itself is in no condition
  if [ $? -eq 0 ]; then failed=no; else failed=yes; fi
  set -e
  if [ "$failed" = no ]; then
    echo "$(($(date +%s) - started)) s" >&2
  else
    echo "failed after $(($(date +%s) - started)) s" >&2
  fi
}

# step TITLE COMMAND... : the same for what must work; a failure ends the set-up.
step() {
  attempt "$@"
  [ "$failed" = yes ] || return 0
  tail -n 20 "$log" >&2
  say "stopped. The whole output is in ${log#"$root"/}; after mending the cause, run it again."
  exit 1
}

# at_least MINIMUM VERSION
at_least() {
  [ -n "$2" ] && [ "$(printf '%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# The first thing in the output of `FILE --version` that looks like a version.
version_of() {
  "$1" --version 2>/dev/null | sed -n 's/^[^0-9]*\([0-9][0-9.]*\).*/\1/p' | head -n 1
}

# Two set-ups at once would write the same files.
take_lock() {
  command -v flock >/dev/null || return 0
  exec 9>"$tools/.lock"
  flock -n 9 && return
  say 'another set-up is at work here, waiting for it'
  flock 9
}

release_lock() {
  exec 9>&-
}

# replace NEW OLD : puts a finished folder in place of another one.
replace() {
  rm -rf "$2.old"
  if [ -e "$2" ]; then mv "$2" "$2.old"; fi
  mv "$1" "$2"
  rm -rf "$2.old"
}

# link TARGET NAME : .tools/bin/NAME points to TARGET, at no moment to nothing.
link() {
  ln -sf "$1" "$tools/bin/.$2.new"
  mv -f "$tools/bin/.$2.new" "$tools/bin/$2"
}

# Missing things are collected, so that a person reads one list and not one error a run.
missing=''

is_missing() {
  missing="$missing
  - $1"
}

report_missing() {
  [ -n "$missing" ] || return 0
  cat >&2 <<MESSAGE

Rastro needs programs that are not here and could not be fetched:
$missing

Install them so that they are found in PATH, then run the same command again.
(What was tried is in .tools/log/. Fetching needs apt-get, dpkg-deb and the network; no root.)
MESSAGE
  exit 1
}

#!/bin/sh
# Everything that can be said without a server: types, lint, format, dead code, unit tests.
#   sh infra/setup.sh --tools-only sh infra/check.sh
# With RASTRO_TEST_RESULTS set to a file, adds a line "PASSED FAILED" to it for each step.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/.tools/bin:$PWD/node_modules/.bin:$PATH
export PATH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
results=${RASTRO_TEST_RESULTS:-$work/results}
: >>"$results"

# check TITLE COMMAND... : its output only when it fails.
check() {
  check_title=$1
  shift
  check_start=$(date +%s)
  if "$@" >"$work/output" 2>&1; then
    echo "ok     $check_title ($(($(date +%s) - check_start)) s)"
    echo '1 0' >>"$work/static"
  else
    echo "FAILED $check_title ($(($(date +%s) - check_start)) s)"
    sed 's/^/  /' "$work/output"
    echo '0 1' >>"$work/static"
  fi
}

static_checks() {
  check 'types' tsc -p tsconfig.json
  check 'types of the pure cores' tsc -p tsconfig.core.json
  check 'lint' oxlint --type-aware
  check 'format (mend it with: pnpm format)' oxfmt --check .
  check 'dead code' knip --no-config-hints
}

unit_tests() {
  find packages services infra -name node_modules -prune -o -name '*.test.ts' \
    ! -name '*.integration.test.ts' -print | sort >"$work/files"
  unit_start=$(date +%s)
  if [ ! -s "$work/files" ]; then
    echo 'FAILED unit tests: there are none'
    echo '0 1' >"$work/unit"
    return
  fi
  # shellcheck disable=SC2046 # one word a file
  if tap --reporter=tap $(cat "$work/files") 2>&1 |
    node infra/tap-report.ts "$work/unit" >"$work/unit-output"; then
    echo "ok     unit tests ($(($(date +%s) - unit_start)) s)"
  else
    echo "FAILED unit tests ($(($(date +%s) - unit_start)) s)"
    cat "$work/unit-output"
  fi
}

echo 'check: types, lint, format, dead code, unit tests'
# Side by side: the checks are native programs of one or two threads, the tests mostly wait.
unit_tests >"$work/unit-lines" 2>&1 &
static_checks
wait
cat "$work/unit-lines"

[ -s "$work/unit" ] || echo '0 1' >"$work/unit"
cat "$work/static" "$work/unit" >>"$results"
awk '{ passed += $1; failed += $2 }
  END { printf "check: %d passed, %d failed\n", passed, failed; exit failed > 0 }' \
  "$work/static" "$work/unit"

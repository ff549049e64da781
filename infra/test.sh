#!/bin/sh
# Every check and every test, the cheap ones first:
#   sh infra/setup.sh --with-browser sh infra/test.sh [SUITE...]
# SUITE: check integration house e2e browser chaos; all of them when none is named.
# The last line is "N passed, N failed"; fails when something failed or nothing ran.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/.tools/bin:$PWD/node_modules/.bin:$PATH
export PATH

results=$(mktemp)
trap 'rm -f "$results" "$results.files"' EXIT
suites=${*:-check integration house e2e browser chaos}

# suite TITLE JOBS SECONDS FIND_ARGUMENTS... : the test files that find finds, JOBS at a time, each
# ended after SECONDS.
suite() {
  suite_title=$1
  suite_jobs=$2
  suite_timeout=$3
  shift 3
  find "$@" | sort >"$results.files"
  if [ ! -s "$results.files" ]; then
    echo "$suite_title: no test files"
    return
  fi
  echo "$suite_title: $(wc -l <"$results.files") files, $suite_jobs at a time"
  # The report says whether the suite passed; a failure must not keep the next from running.
  # shellcheck disable=SC2046 # one word a file
  tap --reporter=tap --jobs="$suite_jobs" --timeout="$suite_timeout" $(cat "$results.files") 2>&1 |
    node infra/tap-report.ts "$results" || true
}

for suite in $suites; do
  case $suite in
    check) RASTRO_TEST_RESULTS=$results sh infra/check.sh || true ;;
    integration)
      suite 'integration tests' 5 180 packages services infra -name node_modules -prune -o \
        -name '*.integration.test.ts' -print
      ;;
    house)
      suite 'tests of the whole house' 3 180 test \
        \( -name node_modules -o -path test/e2e -o -path test/browser -o -path test/chaos \) \
        -prune -o -name '*.test.ts' -print
      ;;
    # Whole constellations, which mostly wait.
    e2e) suite 'e2e tests' 2 600 test/e2e -name '*.test.ts' ;;
    # Storms look at what becomes true, not at how long it takes; but visitors who reload while the
    # gateway is killed need it back soon, and who compares all tables waits for all to be at rest:
    # those have the machine to themselves by then.
    chaos)
      suite 'chaos tests' 2 600 test/chaos -name 'clicks.test.ts' -o -name 'kill-any-process.test.ts'
      suite 'chaos tests' 2 600 test/chaos -name 'conversions.test.ts' -o -name 'funnel.test.ts'
      suite 'chaos tests' 1 600 test/chaos -name '*.test.ts' ! -name 'clicks.test.ts' \
        ! -name 'kill-any-process.test.ts' ! -name 'conversions.test.ts' ! -name 'funnel.test.ts'
      ;;
    # A person's patience is part of it: one at a time.
    browser) suite 'browser tests' 1 600 test/browser -name '*.test.ts' ;;
    *)
      echo "unknown suite $suite; there are: check integration house e2e browser chaos" >&2
      exit 2
      ;;
  esac
done

awk '{ passed += $1; failed += $2 }
  END { printf "%d passed, %d failed\n", passed, failed; exit failed > 0 || passed == 0 }' "$results"

#!/bin/sh
# Makes a bare Debian or Ubuntu with Node >= 20, npm and git ready for Rastro,
# then runs the given command:
#
#   sh infra/setup.sh [--tools-only | --with-browser] COMMAND [ARGUMENT...]
#
# Everything goes into .tools/ and node_modules/; the system stays as it is (one exception,
# Chromium as root, is explained in setup/chromium.sh). A step that is done is not done again,
# so the second run needs no network and takes a moment.
#
#   .tools/bin/       node pnpm nats-server postgres initdb redis-server chromium
#   .tools/node/      Node and pnpm, from npm
#   .tools/debian/    servers and browser, unpacked from Debian's packages
#   .tools/log/       what each step printed
set -eu

usage() {
  echo 'usage: sh infra/setup.sh [--tools-only | --with-browser] COMMAND [ARGUMENT...]' >&2
  exit 2
}

with_servers=yes
with_browser=no
case "${1-}" in
  --tools-only) with_servers=no && shift ;;
  --with-browser) with_browser=yes && shift ;;
  -*) usage ;;
esac
[ $# -gt 0 ] || usage

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
root=${here%/*}
tools=$root/.tools

. "$here/setup/steps.sh"
. "$here/setup/node.sh"
. "$here/setup/debian.sh"
. "$here/setup/servers.sh"
. "$here/setup/chromium.sh"

is_ready() {
  has_node && has_pnpm && has_dependencies || return 1
  [ $with_servers = no ] || has_servers || return 1
  [ $with_browser = no ] || has_chromium
}

prepare() {
  mkdir -p "$tools/bin" "$tools/log"
  take_lock
  has_node || step 'fetching Node from npm' fetch_node
  has_pnpm || step 'fetching pnpm from npm' fetch_pnpm
  has_dependencies || step 'installing libraries' install_dependencies
  [ $with_servers = no ] || prepare_servers
  [ $with_browser = no ] || prepare_chromium
  forget_package_lists
  report_missing
  release_lock
}

PATH=$tools/bin:$root/node_modules/.bin:$PATH
export PATH

is_ready || prepare
exec "$@"

#!/bin/sh
# adopt-store.sh STORE COMMAND...: becomes COMMAND, a nats-server whose store_dir is STORE.
# Streams that were kept before there were accounts lie under the server's global account, whose
# folder is really named $G; they are RASTRO's. Nobody else may be working on the store.
set -eu
store=$1/jetstream
shift
if [ -d "$store/\$G" ] && [ ! -e "$store/RASTRO" ]; then
  mv "$store/\$G" "$store/RASTRO"
fi
exec "$@"

#!/bin/sh
# The entrypoint of NATS in docker compose: an include of a file that is missing would be an error.
set -eu
[ -e /etc/nats/workspaces/workspaces.conf ] || : >/etc/nats/workspaces/workspaces.conf
exec sh /etc/nats/adopt-store.sh /data nats-server --config /etc/nats/nats.conf

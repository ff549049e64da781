# Node, pnpm and the libraries, all from npm. Sourced by infra/setup.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # root and tools come from infra/setup.sh

node_minimum=24
node_version=24.21.0
pnpm_version=12.21.0

has_node() {
  [ -x "$tools/bin/node" ] && at_least $node_minimum "$(version_of "$tools/bin/node")"
}

has_pnpm() {
  [ -x "$tools/bin/pnpm" ] && [ "$(version_of "$tools/bin/pnpm")" = $pnpm_version ]
}

fetch_node() {
  for found in $(on_path node); do
    if at_least $node_minimum "$(version_of "$found")"; then
      link "$found" node
      return
    fi
  done
  fetch_from_npm
}

fetch_pnpm() {
  fetch_from_npm
}

# The npm package node-linux-* carries the binary itself; pnpm's is a native program too.
# Both come in one go into a new folder that takes the old one's place when it is whole.
fetch_from_npm() {
  case "$(uname -s) $(uname -m)" in
    'Linux x86_64') platform=linux-x64 ;;
    'Linux aarch64' | 'Linux arm64') platform=linux-arm64 ;;
    *)
      echo "No Node package is known for $(uname -s) on $(uname -m)."
      echo "Install Node >= $node_minimum and pnpm $pnpm_version by hand, into .tools/bin/."
      return 1
      ;;
  esac
  new=$tools/node.new
  rm -rf "$new"
  mkdir -p "$new"
  # Away from the repository, whose package.json speaks pnpm's dialect ("catalog:").
  (cd "$new" && npm install --prefix "$new" --no-save --no-package-lock --no-audit --no-fund \
    --prefer-offline --loglevel=error "node-$platform@$node_version" "pnpm@$pnpm_version")
  "$new/node_modules/node-$platform/bin/node" --version
  "$new/node_modules/pnpm/pnpm" --version
  replace "$new" "$tools/node"
  has_node || link "../node/node_modules/node-$platform/bin/node" node
  link ../node/node_modules/pnpm/pnpm pnpm
}

dependencies_fingerprint() {
  (cd "$root" && cat pnpm-lock.yaml pnpm-workspace.yaml package.json ./*/package.json \
    ./*/*/package.json | cksum)
}

has_dependencies() {
  [ -f "$root/node_modules/.modules.yaml" ] && [ -f "$tools/dependencies" ] &&
    [ "$(cat "$tools/dependencies")" = "$(dependencies_fingerprint)" ]
}

install_dependencies() {
  cd "$root" || return 1
  CI=true "$tools/bin/pnpm" install --frozen-lockfile --prefer-offline --reporter=append-only
  dependencies_fingerprint >"$tools/dependencies"
}

# Debian's packages without Debian's package manager changing the system: apt downloads and
# checks signatures with package lists and caches of its own, dpkg-deb unpacks.
# No root needed. Sourced by infra/setup.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # root and tools come from infra/setup.sh

debian=$tools/debian
lists=$debian/.lists

# on_path NAME : every file of that name in PATH but ours, a line each. With
# RASTRO_IGNORE_SYSTEM_BINARIES=1 none, to try the unpacking on a machine that has the servers.
on_path() {
  [ -z "${RASTRO_IGNORE_SYSTEM_BINARIES-}" ] || return 0
  printf '%s\n' "$PATH" | tr ':' '\n' | while read -r folder; do
    case $folder in "$root"/*) continue ;; esac
    if [ -f "$folder/$1" ] && [ -x "$folder/$1" ]; then echo "$folder/$1"; fi
  done
}

has_apt() {
  command -v apt-get >/dev/null && command -v dpkg-deb >/dev/null
}

# fetch TITLE COMMAND... : attempt, where packages can be had at all.
fetch() {
  # shellcheck disable=SC2034 # read by the callers
  failed=yes
  if has_apt; then attempt "fetching $1" "$2" ${3+"$3"}; fi
}

# apt_with SUITE COMMAND... : apt-get with the package lists of SUITE ("system" for those that
# the system's own sources name). Knows what is installed, touches nothing of it.
apt_with() {
  suite=$1
  shift
  set -- -o Dir::State::lists="$lists/$suite/lists" -o Dir::Cache="$lists/$suite/cache" \
    -o Debug::NoLocking=1 -o APT::Sandbox::User=root -o Acquire::Retries=2 \
    -o Acquire::Languages=none "$@"
  if [ "$suite" != system ]; then
    set -- -o Dir::Etc::sourcelist="$lists/$suite/suite.sources" \
      -o Dir::Etc::sourceparts=/nonexistent "$@"
  fi
  apt-get -q "$@"
}

# Reads the package lists of a suite, once a run.
read_package_lists() {
  [ ! -e "$lists/$1/read" ] || return 0
  mkdir -p "$lists/$1/lists/partial" "$lists/$1/cache/archives/partial"
  # One broken third-party source among the system's must not stop us; whether the package
  # can be had shows a moment later.
  apt_with "$1" update || [ "$1" = system ]
  touch "$lists/$1/read"
}

# Nothing half-done stays behind, nor lists that will be old the next time.
forget_package_lists() {
  rm -rf "$lists" "$debian"/*.new
}

# unpack NAME SUITE PACKAGE... : the packages, and what they need that the system lacks, into
# .tools/debian/NAME. The C library stays the system's: its loader would not take another.
unpack() {
  unpack_name=$1
  unpack_suite=$2
  shift 2
  read_package_lists "$unpack_suite"
  new=$debian/$unpack_name.new
  rm -rf "$new"
  mkdir -p "$new/packages" "$new/root"
  names=$(apt_with "$unpack_suite" install --simulate --no-install-recommends --reinstall "$@" |
    awk '$1 == "Inst" && $2 !~ /^(libc6|libc-bin|locales|libllvm.*)$/ { print $2 }')
  printf 'packages:\n%s\n' "$names"
  [ -n "$names" ]
  # shellcheck disable=SC2086 # one word a package
  (cd "$new/packages" && apt_with "$unpack_suite" download $names)
  for package in "$new"/packages/*.deb; do
    dpkg-deb -x "$package" "$new/root"
  done
  replace "$new/root" "$debian/$unpack_name"
  rm -rf "$new"
}

# wrap NAME FILE MINIMUM : .tools/bin/COMMAND runs .tools/debian/NAME/FILE with the libraries that
# were unpacked beside it, once it has run and is new enough. COMMAND is the file's own name.
wrap() {
  wrap_command=${2##*/}
  cat >"$tools/bin/.$wrap_command.new" <<WRAPPER
#!/bin/sh
# Written by infra/setup.sh: runs the copy that was unpacked from Debian's packages.
root=\$(CDPATH='' cd -- "\${0%/*}/../debian/$1" && pwd -P)
LD_LIBRARY_PATH=$(libraries_in "\$root")\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
export LD_LIBRARY_PATH
exec "\$root/$2" "\$@"
WRAPPER
  chmod 755 "$tools/bin/.$wrap_command.new"
  "$tools/bin/.$wrap_command.new" --version
  at_least "$3" "$(version_of "$tools/bin/.$wrap_command.new")"
  mv -f "$tools/bin/.$wrap_command.new" "$tools/bin/$wrap_command"
}

# libraries_in FOLDER : where unpacked libraries lie below it. Packages of Debian 12 still carry
# some in /lib, which an installed system links to /usr/lib.
libraries_in() {
  machine=$(uname -m)-linux-gnu
  echo "$1/usr/lib/$machine:$1/lib/$machine:$1/usr/lib/$machine/pulseaudio"
}

# The package archive this system uses when it is Debian, else Debian's own.
debian_mirror() {
  # shellcheck disable=SC2016 # the fields are apt's
  apt-get indextargets --no-release-info --format '$(RELEASE) $(REPO_URI)' \
    'Created-By: Packages' 2>/dev/null |
    awk -v codename="$(. /etc/os-release && echo "${VERSION_CODENAME-}")" \
      '$1 == codename && $2 ~ /\/debian\/?$/ { print $2; found = 1; exit }
       END { if (!found) print "http://deb.debian.org/debian" }'
}

# Debian's keys. Ubuntu has them as a package, signed by keys that Ubuntu's apt trusts.
debian_keyring() {
  for keyring in /usr/share/keyrings/debian-archive-keyring.*; do
    if [ -f "$keyring" ]; then
      echo "$keyring"
      return
    fi
  done
  unpack keyring system debian-archive-keyring >&2
  set -- "$debian"/keyring/usr/share/keyrings/debian-archive-keyring.*
  echo "$1"
}

# use_suite SUITE : apt_with SUITE means that suite of Debian.
use_suite() {
  mkdir -p "$lists/$1"
  cat >"$lists/$1/suite.sources" <<SOURCES
Types: deb
URIs: $(debian_mirror)
Suites: $1
Components: main
Signed-By: $(debian_keyring)
SOURCES
}

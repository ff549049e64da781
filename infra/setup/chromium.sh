# A Chromium that starts headless, with fonts for text and emoji, for the browser tests.
# Sourced by infra/setup.sh.
# shellcheck shell=sh
# shellcheck disable=SC2154 # root, tools, debian and failed come from the files before this one

has_chromium() {
  [ -x "$tools/bin/chromium" ]
}

# A browser of the system's first; else Debian's, unpacked; and only where that does not start
# and we are root, installed: a browser is a system component with many loose ends (sandbox
# helper, libraries found by absolute path), and a container's root has nothing to lose.
prepare_chromium() {
  ! has_chromium || return 0
  [ -d "$debian/fonts" ] || fetch 'fonts' fetch_fonts
  if find_chromium; then return; fi
  fetch "Chromium from Debian's packages" fetch_chromium
  if [ "$failed" = yes ] && [ "$(id -u)" -eq 0 ]; then
    fetch 'Chromium into the system, unpacked it does not start' install_chromium
  fi
  [ "$failed" = no ] || is_missing \
    'a Chromium or Chrome that starts headless: package chromium (on Ubuntu Google'\''s own .deb)'
}

find_chromium() {
  for name in chromium chromium-browser google-chrome google-chrome-stable; do
    for found in $(on_path $name); do
      # Ubuntu's chromium-browser is a stub that only speaks of snap: so try it.
      if wrap_chromium "$found" '' >"$tools/log/find_chromium.log" 2>&1; then return; fi
    done
  done
  return 1
}

fetch_fonts() {
  read_package_lists system
  new=$debian/fonts.new
  rm -rf "$new"
  mkdir -p "$new/packages" "$new/root"
  (cd "$new/packages" && apt_with system download fonts-liberation fonts-noto-color-emoji)
  for package in "$new"/packages/*.deb; do
    dpkg-deb -x "$package" "$new/root"
  done
  replace "$new/root" "$debian/fonts"
  rm -rf "$new"
}

fetch_chromium() {
  unpack chromium system chromium
  wrap_chromium "$debian/chromium/usr/lib/chromium/chromium" "$(libraries_in "$debian/chromium")"
}

install_chromium() {
  apt-get -q update
  DEBIAN_FRONTEND=noninteractive apt-get -q install -y --no-install-recommends chromium
  wrap_chromium /usr/bin/chromium ''
}

# wrap_chromium FILE LIBRARIES : .tools/bin/chromium runs FILE with our fonts beside the
# system's, once it has proven that it can show a page.
wrap_chromium() {
  write_font_configuration
  cat >"$tools/bin/.chromium.new" <<WRAPPER
#!/bin/sh
# Written by infra/setup.sh.
FONTCONFIG_FILE='$debian/fonts.conf'
LD_LIBRARY_PATH='$2'\${LD_LIBRARY_PATH:+:\$LD_LIBRARY_PATH}
export FONTCONFIG_FILE LD_LIBRARY_PATH
exec '$1' "\$@"
WRAPPER
  chmod 755 "$tools/bin/.chromium.new"
  starts_headless "$tools/bin/.chromium.new" || return 1
  mv -f "$tools/bin/.chromium.new" "$tools/bin/chromium"
}

write_font_configuration() {
  mkdir -p "$debian"
  cat >"$debian/fonts.conf" <<'CONFIGURATION'
<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "urn:fontconfig:fonts.dtd">
<fontconfig>
  <include ignore_missing="yes">/etc/fonts/fonts.conf</include>
  <dir>/usr/share/fonts</dir>
  <dir prefix="relative">fonts/usr/share/fonts</dir>
  <cachedir prefix="relative">fonts.cache</cachedir>
  <alias><family>Times New Roman</family><accept><family>Liberation Serif</family></accept></alias>
  <alias><family>Arial</family><accept><family>Liberation Sans</family></accept></alias>
  <alias><family>Helvetica</family><accept><family>Liberation Sans</family></accept></alias>
  <alias><family>Courier New</family><accept><family>Liberation Mono</family></accept></alias>
  <alias><family>serif</family><accept><family>Liberation Serif</family></accept></alias>
  <alias><family>monospace</family><accept><family>Liberation Mono</family></accept></alias>
  <match target="pattern">
    <edit name="family" mode="append_last"><string>Liberation Sans</string></edit>
  </match>
</fontconfig>
CONFIGURATION
}

starts_headless() {
  profile=$(mktemp -d)
  timeout 60 "$1" --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --user-data-dir="$profile" --dump-dom 'data:text/html,<p>it works</p>' >"$profile/page" || true
  if grep -q 'it works' "$profile/page"; then started=yes; else started=no; fi
  rm -rf "$profile"
  [ $started = yes ]
}

#!/bin/sh
# install.sh PACKAGE…: installs those Debian packages that are missing, or says what to do.
set -eu
missing=
for package in "$@"; do
  dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
[ -n "$missing" ] || exit 0
sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing$missing" >&2
if ! { $sudo apt-get -qq update &&
  $sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends $missing >/dev/null; }; then
  echo "error: could not install$missing; as root, run: apt-get install$missing" >&2
  exit 1
fi

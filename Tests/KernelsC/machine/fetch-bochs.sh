#!/bin/sh
# fetch-bochs.sh FOLDER: prints the command that starts Bochs 3.0 or later. One that is installed will do; otherwise
# Debian 13's package and all that it needs are unpacked in FOLDER (55 MB to fetch, nothing is installed, no root).
#
# Bochs 2.7, which Debian 12 has, will not do. It has no processor with AVX512_BF16, and three of its instructions are
# wrong: VPEXTRW to memory takes a compressed displacement for bytes, VCVTPS2PH rounds ties away from zero, VCVTUDQ2PS
# takes what is just above a tie for one.
set -eu
if bochs --help cpu 2>&1 | grep -q '^sapphire_rapids'; then
  command -v bochs
  exit
fi
mkdir -p "$1"
folder=$(cd "$1" && pwd)
launcher=$folder/bochs
if [ ! -x "$launcher" ]; then
  # The archive that this machine's own packages come from.
  archive=$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 'Origin: Debian' 'Label: Debian' 'Component: main' |
    sed -n 1p)
  keys=/usr/share/keyrings/debian-archive-keyring.gpg
  if [ -z "$archive" ] || [ ! -f $keys ] || [ "$(uname -m)" != x86_64 ]; then
    echo "error: no Bochs 3 here and no Debian archive to fetch it from; install bochs 3.0 or later" >&2
    exit 1
  fi
  echo "fetching Bochs 3 from Debian 13" >&2
  mkdir -p "$folder/lists/partial" "$folder/cache/archives/partial" "$folder/root"
  echo "deb [arch=amd64 signed-by=$keys] $archive trixie main" >"$folder/sources.list"
  : >"$folder/status"
  options="-qq -o Dir::Etc::SourceList=$folder/sources.list -o Dir::Etc::SourceParts=- -o Dir::State=$folder
    -o Dir::State::Lists=$folder/lists -o Dir::State::status=$folder/status -o Dir::Cache=$folder/cache
    -o APT::Architecture=amd64 -o APT::Architectures=amd64 -o APT::Install-Recommends=0 -o APT::Sandbox::User=$(id -un)
    -o Debug::NoLocking=1 -o Acquire::Languages=none"
  { apt-get $options update && apt-get $options install -y --download-only bochs bochs-term; } >"$folder/apt.log" 2>&1 ||
    { cat "$folder/apt.log" >&2; exit 1; }
  for package in "$folder"/cache/archives/*.deb; do dpkg -x "$package" "$folder/root"; done
  rm -rf "$folder/cache" "$folder/lists" "$folder/root/usr/share/doc" "$folder/root/usr/share/man" \
    "$folder/root/usr/share/locale" "$folder/root/usr/share/icons"
  libraries=$folder/root/usr/lib/x86_64-linux-gnu
  cat >"$launcher" <<END
#!/bin/sh
export LTDL_LIBRARY_PATH=$libraries/bochs/plugins BXSHARE=$folder/root/usr/share/bochs
exec $folder/root/lib64/ld-linux-x86-64.so.2 --library-path $libraries $folder/root/usr/bin/bochs-bin "\$@"
END
  chmod +x "$launcher"
fi
echo "$launcher"

#!/usr/bin/env bash
# Install one binary that needs no Swift runtime, and completions for bash, zsh and fish.
set -euo pipefail
prefix=$1
cd "$(dirname "$0")/.."
swift=${SWIFT:-swift}
"$swift" build -c release --product quern -Xswiftc -static-stdlib --scratch-path .build-static
binary=$("$swift" build -c release -Xswiftc -static-stdlib --scratch-path .build-static --show-bin-path)/quern
install -D -s -m 755 "$binary" "$prefix/bin/quern"
install -d "$prefix/share/bash-completion/completions" "$prefix/share/zsh/site-functions" "$prefix/share/fish/vendor_completions.d"
"$binary" --generate-completion-script bash > "$prefix/share/bash-completion/completions/quern"
"$binary" --generate-completion-script zsh > "$prefix/share/zsh/site-functions/_quern"
"$binary" --generate-completion-script fish > "$prefix/share/fish/vendor_completions.d/quern.fish"
echo "installed $prefix/bin/quern ($(du -h "$prefix/bin/quern" | cut -f 1)) and its completions"

#!/usr/bin/env bash
# Build and run every test, in release: the kernels' tests would take minutes in debug.
set -euo pipefail
swift build -c release --explicit-target-dependency-import-check error --build-tests
swift test -c release --skip-build

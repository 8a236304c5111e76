#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Shows what Ambidext does, in less than 20 seconds: `make demo`, or examples/demo.sh BUILD [option of `ambidext run`...]. Needs
# no root and leaves nothing behind: everything runs below a private registry in a temporary directory.
set -euo pipefail
build=$(realpath -- "${1:-build}")
shift $(($# > 0))
here=$(dirname -- "$(realpath -- "$0")")
log=$(mktemp)
trap 'rm -f -- "$log"' EXIT

# Standard error, which is the daemon's and the drivers' log, goes to a file; demo-inside.sh shows the lines that matter.
if ! "$build/src/cli/ambidext" run "$@" --dext "$build/drivers/sensors.dext" -- \
        "$here/demo-inside.sh" "$build" "$log" 2>"$log"; then
        printf '\ndemo: FAILED. What the daemon, the driver and the demo logged:\n' >&2
        cat -- "$log" >&2
        exit 1
fi

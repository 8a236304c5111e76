# SPDX-License-Identifier: Apache-2.0
# Sourced by tests of commands that make their directory $work: each command's output is in $work/log.
failures=0
with=()         # what runs the commands

fail() {
        echo "FAILED: $*"
        sed 's/^/    /' "$work/log"
        failures=$((failures + 1))
}
# try STATUS WHAT COMMAND...
try() {
        local wanted=$1 what=$2 status
        shift 2
        "${with[@]}" "$@" >"$work/log" 2>&1 </dev/null
        status=$?
        [ "$status" = "$wanted" ] || fail "$what: status $status, not $wanted"
}

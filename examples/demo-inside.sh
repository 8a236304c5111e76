#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The demo itself, run by demo.sh inside `ambidext run`: demo-inside.sh BUILD LOG. Standard error is the log. Fails as soon as
# something that it announces does not happen.
set -euo pipefail
build=$1 log=$2
sensors=$build/examples/sensors
private=$(mktemp -d)
watcher=
trap '[ -z "$watcher" ] || kill "$watcher" 2>/dev/null || true; rm -rf -- "$private"' EXIT

if [ -t 1 ]; then bold=$'\033[1m' plain=$'\033[0m'; else bold='' plain=''; fi
step() { printf '\n%s== %s ==%s\n' "$bold" "$1" "$plain"; shift; [ $# -eq 0 ] || printf '%s\n' "$@"; echo; }
fail() { printf '\ndemo: FAILED: %s\n' "$1" >&2; exit 1; }

# The lines of the log that match, folded for reading; there must be one.
logged() {
        local lines
        lines=$(grep -E -- "$1" "$log") || fail "the log has no line with: $1"
        sed 's/^ambidextd: //' <<<"$lines" | fold -s -w 108 | sed 's/^/  log | /'
}

# The process id of the driver, from the line of the registry's tree that names its service.
driver_pid() { ambidext ls | sed -n 's/.*\bsensors  <.*\buser class Sensors,.*\bpid \([0-9]*\).*/\1/p'; }

step '1. The registry' \
        'A driver is an ordinary process. The daemon has started one, because what its Info.plist asks for is there.' \
        'This is the tree of everything there is; "sensors" is the driver'"'"'s service, pid its process.'
ambidext ls
pid=$(driver_pid)
[ -n "$pid" ] || fail 'the registry shows no running driver'

step '2. One reading, by calls' \
        'An app finds the service by name, opens it and calls it. The driver reads /proc and /sys of this machine.'
"$sensors" once || fail 'the app could not read the driver'

step '3. Three seconds of completions' \
        'The app subscribes; the driver calls back ten times a second (four times where no plot can be drawn).'
"$sensors" watch 3 || fail 'no completions'

step '4. Shared memory' \
        'The driver keeps its samples in a ring. The app maps it, read-only, and reads without calling anybody.'
"$sensors" map || fail 'the app could not map the ring'

step '5. Who may open a driver' \
        'The same app without its entitlements. The daemon refuses before the driver hears of it, and logs what is missing.'
cp -- "$sensors" "$private/stranger"
if LD_LIBRARY_PATH=$build/src/client "$private/stranger" once >"$private/answer" 2>&1; then
        fail 'an app without entitlements has opened the driver'
fi
cat -- "$private/answer"
grep -q kIOReturnNotPermitted "$private/answer" || fail 'the refusal has another code than kIOReturnNotPermitted'
logged 'refused: '

step '6. The driver dies' \
        "The app watches; then the driver's process (pid $pid) is killed with SIGKILL."
exec {lines}< <(exec "$sensors" watch 20)
watcher=$!
# Prints the app's lines until one matches; every wait has an end.
until_line() {
        local line
        while IFS= read -r -t 10 -u "$lines" line; do
                printf '%s\n' "$line"
                [[ $line != *$1* ]] || return 0
        done
        fail "the app never said: $1"
}
until_line 'completion 4 '
kill -KILL "$pid"
printf '%skill -KILL %s%s\n' "$bold" "$pid" "$plain"
until_line 'told: kIOMessageServiceIsTerminated'
until_line 'a call on the old connection returns'
until_line 'back: completions arrive again'
until_line 'completion 4 '
kill "$watcher"
watcher=
again=$(driver_pid)
[ -n "$again" ] && [ "$again" != "$pid" ] || fail 'the daemon has not started the driver again'
logged "host $pid was ended|launched host $again"
echo
echo "The daemon started the driver again: pid $pid was followed by $again. The app was told, waited, and went on."

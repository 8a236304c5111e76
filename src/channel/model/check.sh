#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Runs the models: the right protocol must have no error, every mutant must have one. Writes only to a directory of its own.
set -eu

here=$(cd "$(dirname "$0")" && pwd)

directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
trap 'exit 1' HUP INT TERM
cd "$directory"

# errors MODEL [-DMUTANT]: prints how many errors the search found
errors() {
        spin ${2+"$2"} -a "$here/$1.pml" >spin.log || { cat spin.log >&2; return 1; }
        "${CC:-cc}" -O1 -w -DSAFETY -DNOCLAIM -o pan pan.c
        ./pan -m100000 >pan.log
        if grep -q 'max search depth too small' pan.log; then
                echo "the search was cut off" >&2
                return 1
        fi
        sed -n 's/.*errors: \([0-9]*\).*/\1/p' pan.log
}

failed=0

# check MODEL MUTANT...
check() {
        model=$1
        shift
        count=$(errors "$model")
        states=$(sed -n 's/ *\([0-9]*\) states, stored.*/\1/p' pan.log)
        echo "$model: right: $count errors, $states states"
        [ "$count" = 0 ] || failed=1
        for mutant in "$@"; do
                count=$(errors "$model" "-D$mutant")
                echo "$model: $mutant: $count errors"
                [ "$count" -gt 0 ] || { echo "$mutant should have failed"; failed=1; }
        done
}

check wait NO_FENCE_WAKER NO_FENCE_CALLER NO_FENCE_SLEEPER NO_LOOK NO_BELL BELL_TRUSTS_WORD LOOK_TOO_EARLY
check rest NO_FENCE_REST NO_LOOK_REST NO_FENCE_APP NO_KNOCK PROD_TAKES_ALL WAKE_TAKES_TWICE
check turn NO_LOOK SAY_LATE TRUST_THE_CLOCK NO_LOCK END_ONE
check dataqueue NO_FENCE_WRITER NO_FENCE_READER NO_LOOK
exit $failed

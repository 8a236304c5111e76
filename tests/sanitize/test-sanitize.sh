#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Drivers that were built with a sanitizer: their reports reach the user, their deaths are said in words, what is in order passes.
# Usage: test-sanitize.sh SOURCE_ROOT BUILD_DIR CLIENT SANITIZE; SANITIZE: what the project itself is built with (b_sanitize)
set -u
here=$1/tests/sanitize build=$2 client=$3 own=$4
ambidext=$build/src/cli/ambidext
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset XDG_RUNTIME_DIR AMBIDEXT_REGISTRY ASAN_OPTIONS UBSAN_OPTIONS TSAN_OPTIONS LSAN_OPTIONS
export TMPDIR=$work LC_ALL=C.UTF-8
failures=0

fail() {
        echo "FAILED: $*"
        sed 's/^/    /' "$work/log"
        failures=$((failures + 1))
}
has() { grep -Eq -- "$1" "$work/log" || fail "$2: no '$1'"; }
has_not() { ! grep -Eq -- "$1" "$work/log" || fail "$2: '$1'"; }

# bundle NAME SANITIZERS RUNTIME: the driver, in $work/NAME/faulty.dext
bundle() {
        mkdir -p "$work/$1/faulty.dext"
        clang -g -O1 -Wall -Werror -fPIC -shared -fsanitize="$2" -I"$1/include" -I"$here/../../include" "$here/driver.c" \
                -o "$work/$1/faulty.dext/faulty" -L"$build/src/driver" -lambidext-driver || exit 1
        sed "s|<key>IOKitPersonalities|<key>AmbidextSanitizerRuntime</key><string>$3</string>&|" "$here/Info.plist" \
                >"$work/$1/faulty.dext/Info.plist"
}
# run STATUS BUNDLE COMMAND...
run() {
        local wanted=$1 bundle=$2 status
        shift 2
        timeout 100 "$ambidext" run --dext "$work/$bundle/faulty.dext" -- "$@" >"$work/log" 2>&1 </dev/null
        status=$?
        [ "$status" = "$wanted" ] || fail "$bundle: $*: status $status, not $wanted"
}
call() { run "$1" "$2" ambidext call --out-scalars 1 Faulty "$3" "$4"; }

asan=$(clang -print-file-name=libclang_rt.asan-x86_64.so)
ubsan=$(clang -print-file-name=libclang_rt.ubsan_standalone-x86_64.so)
# That of clang 14 is not fit for preloading; its code runs with gcc's.
tsan=$(readlink -f "$(gcc -print-file-name=libtsan.so)")
bundle asan address,undefined "$asan"

# The project's own sanitized build: the host has a sanitizer already, and gets no second one.
if [ "$own" != none ]; then
        call 0 asan 1 16
        call 1 asan 1 17
        has 'ERROR: AddressSanitizer: heap-buffer-overflow' "the project's own sanitizer"
        has_not "runs with $asan" "the project's own sanitizer"
        exit $((failures > 0))
fi

run 0 asan "$client"
has "faulty runs with $asan, and so without a sandbox" asan
call 0 asan 1 16
has_not 'AddressSanitizer|runtime error' 'no overflow'
call 1 asan 1 17
has 'ERROR: AddressSanitizer: heap-buffer-overflow' overflow
has ' in fill .*/driver\.c:[0-9]+' 'overflow: with a line'
has "the driver's process [0-9]+ was ended by AddressSanitizer: heap-buffer-overflow .* in fill; its report is above" overflow
has 'MIG_SERVER_DIED' overflow
has 'ambidext: a sanitizer has found a mistake in a driver' overflow
# A program that does not look at codes does not hide it.
run 66 asan sh -c 'ambidext call --out-scalars 1 Faulty 1 17; i=0
        until ambidext call --out-scalars 1 Faulty 1 16; do i=$((i + 1)); [ $i -lt 300 ] || exit 5; done'
has 'was ended by AddressSanitizer' 'overflow, and a new process'
call 0 asan 3 0
call 1 asan 3 1
has 'driver\.c:[0-9]+:[0-9]+: runtime error: signed integer overflow' 'undefined behaviour'
has 'was ended by UndefinedBehaviorSanitizer' 'undefined behaviour'
# The user's options count more than ours.
UBSAN_OPTIONS=halt_on_error=0 call 66 asan 3 1
has 'has ended; found by UndefinedBehaviorSanitizer' 'undefined behaviour, going on'
call 0 asan 4 77

# Leaks, where LeakSanitizer may work at all.
printf '#include <stdlib.h>\nvoid *volatile p;\nint main(void) { p = malloc(9); p = 0; return 0; }\n' >"$work/leak.c"
clang -fsanitize=address "$work/leak.c" -o "$work/leak" || exit 1
ASAN_OPTIONS=detect_leaks=1 "$work/leak" >"$work/log" 2>&1
if grep -q 'detected memory leaks' "$work/log"; then
        ASAN_OPTIONS=detect_leaks=1 run 0 asan "$client"
        ASAN_OPTIONS=detect_leaks=1 call 66 asan 4 77
        has 'Direct leak of 77 byte' leak
        has 'was ended by AddressSanitizer: 77 byte' leak
else
        echo "leaks: not tested, LeakSanitizer may not trace here: $(tail -n 1 "$work/log")"
fi

bundle ubsan undefined "$ubsan"
run 0 ubsan "$client"
call 1 ubsan 3 1
has 'was ended by UndefinedBehaviorSanitizer: undefined-behavior' 'undefined behaviour alone'

bundle tsan thread "$tsan"
run 0 tsan "$client"
has "faulty runs with $tsan" tsan
has_not 'ThreadSanitizer' 'what is in order'
call 1 tsan 2 0
has 'WARNING: ThreadSanitizer: data race' race
has "was ended by ThreadSanitizer: data race .*driver\.c:[0-9]+ in racer; its report is above" race

# Mistakes with the key itself.
bundle wrong address /nowhere/libasan.so
call 1 wrong 1 16
has 'AmbidextSanitizerRuntime: /nowhere/libasan.so is not there' 'no such library'
bundle missing address '' && sed -i '/AmbidextSanitizerRuntime/s|<key>Amb.*</string>||' "$work/missing/faulty.dext/Info.plist"
call 1 missing 1 16
has 'it was built with a sanitizer whose run-time library is not in this process' 'no key'

exit $((failures > 0))

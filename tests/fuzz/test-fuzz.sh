#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The fuzzer of drivers finds a planted mistake, and lets a driver without one live.
# Usage: test-fuzz.sh SOURCE_ROOT BUILD_DIR
set -u
source=$1 build=$2 here=$1/tests/fuzz
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
unset ASAN_OPTIONS UBSAN_OPTIONS AMBIDEXT_REGISTRY AMBIDEXT_FUZZ_PERSONALITY
export TMPDIR=$work LC_ALL=C.UTF-8 PKG_CONFIG_PATH=$build/meson-uninstalled
export LD_LIBRARY_PATH=$build/src/client:$build/src/driver
failures=0

fail() {
        echo "FAILED: $*"
        tail -n 40 "$work/log" | sed 's/^/    /'
        failures=$((failures + 1))
}
has() { grep -Eq -- "$1" "$work/log" || fail "$2: no '$1'"; }
# run STATUS(zero|other) WHAT COMMAND...
run() {
        local wanted=$1 what=$2 status
        shift 2
        (cd "$work" && timeout 170 "$@") >"$work/log" 2>&1 </dev/null
        status=$?
        case $wanted in
        zero) [ $status = 0 ] ;;
        *) [ $status != 0 ] && [ $status != 124 ] ;;
        esac || fail "$what: status $status"
}

cflags=$(pkg-config --cflags ambidext ambidext-driver) libs=$(pkg-config --libs ambidext ambidext-driver)
common="-g -O1 -std=gnu17 -D_GNU_SOURCE -fblocks -Wall -Werror -fsanitize=fuzzer-no-link,address,undefined $cflags"
link() { # NAME OBJECT...
        local name=$1
        shift
        clang -fsanitize=fuzzer,address,undefined -rdynamic "$work/info.o" "$work/symbolizer.o" "$@" $libs -o "$work/$name" || exit 1
}
{
        echo 'const unsigned char amb_fuzz_info[] = {'
        od -An -v -tu1 "$here/Info.plist" | sed 's/[0-9][0-9]*/&,/g'
        echo "0 }; const unsigned long amb_fuzz_info_length = $(wc -c <"$here/Info.plist");"
} >"$work/info.c"
clang $common -c "$work/info.c" -o "$work/info.o" || exit 1
for part in harness symbolizer; do clang $common -c "$source/share/fuzz/$part.c" -o "$work/$part.o" || exit 1; done
clang $common -c "$here/driver.c" -o "$work/sound.o" && link sound "$work/harness.o" "$work/sound.o"
clang $common -DPLANTED -c "$here/driver.c" -o "$work/planted.o" && link planted "$work/harness.o" "$work/planted.o"
clang $common -c "$source/examples/tutorial1.c" -o "$work/misnamed.o" && link misnamed "$work/harness.o" "$work/misnamed.o"

mkdir "$work/corpus"
run zero 'a sound driver' ./sound -seed=1 -runs=20000 corpus
has '^fuzz: the dispatch table has 4 selectors$' 'what was learnt'
has 'DONE' 'a sound driver'
# A corpus is the same for both ways to call.
AMBIDEXT_FUZZ_CHANNEL=1 run zero 'a sound driver, through the channel' ./sound -seed=1 -runs=1500 corpus
has 'DONE' 'a sound driver, through the channel'
for selector in 0 1 2 3; do
        [ -s "$work/corpus/selector-$selector" ] || fail "no seed for selector $selector"
done
# What its methods do was reached: the lines of the corpus are calls that get past the checks.
run zero 'coverage' ./sound -runs=1 -print_coverage=1 corpus
for function in unlock store sum later complete; do
        has "^COVERED_FUNC:.* $function .*driver.c" 'coverage'
done

mkdir "$work/other-corpus"
run other 'a planted mistake' ./planted -seed=1 -max_total_time=120 -artifact_prefix=found- other-corpus
has 'ERROR: AddressSanitizer: heap-buffer-overflow' 'a planted mistake'
has ' in store .*driver\.c:[0-9]+' 'a planted mistake'
found=$(cd "$work" && ls found-crash-* 2>/dev/null)
[ -n "$found" ] || fail 'a planted mistake: no input was kept'
run other 'the input again' ./planted "$found"
has 'heap-buffer-overflow' 'the input again'
AMBIDEXT_FUZZ_CHANNEL=1 run other 'the input again, through the channel' ./planted "$found"
has 'heap-buffer-overflow' 'the input again, through the channel'
run zero 'the input, and the sound driver' ./sound "$found"

# The program has not what the list names.
run other 'a class that is missing' ./misnamed -runs=1
has 'fuzz: the driver does not start: .*has no class Store ' 'a class that is missing'

# As developers do it, in C++: the templates, without and with a check.
ambidext=$build/src/cli/ambidext
run zero 'ambidext new' "$ambidext" new Mixer
run zero 'ambidext build --fuzz' "$ambidext" build --fuzz --output out Mixer/Mixer
run zero 'the template' out/Mixer-fuzz -seed=1 -runs=5000
has '^fuzz: the dispatch table has 3 selectors$' 'the template'
sed -i 's/ || in->count > kMixerNumbersMost//' "$work/Mixer/Mixer/MixerUserClient.cpp"
run zero 'ambidext build --fuzz, again' "$ambidext" build --fuzz --output out Mixer/Mixer
run other 'the template with a mistake' out/Mixer-fuzz -seed=1 -max_total_time=60
has 'ERROR: AddressSanitizer: heap-buffer-overflow|runtime error: index [0-9]+ out of bounds' 'the template with a mistake'
has 'MixerUserClient.cpp:[0-9]+' 'the template with a mistake'
exit $((failures > 0))

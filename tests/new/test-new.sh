#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# `ambidext new`: what it writes builds and passes its own tests at once, and what it refuses.
# Usage: test-new.sh BUILD_DIR [c|c++]...; without languages: what is refused, and that templates are copied as they are
set -u
. "$(dirname "$0")/../try.sh"
build=$1
shift
ambidext=$build/src/cli/ambidext templates=$build/share/templates
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset XDG_RUNTIME_DIR AMBIDEXT_REGISTRY MESON_BUILD_ROOT MESON_SOURCE_ROOT CC CXX CFLAGS CXXFLAGS LDFLAGS
export TMPDIR=$work LC_ALL=C.UTF-8 PKG_CONFIG_PATH=$build/meson-uninstalled
has() { grep -Eq -- "$1" "$work/log" || fail "$2: no '$1'"; }

if [ $# = 0 ]; then
        # Under the name NAME a project is its templates.
        for language in c c++; do
                try 0 "$language, NAME" "$ambidext" new --lang "$language" NAME
                mkdir expected && cp -R "$templates/common/." "$templates/$language/." expected/ || exit 1
                try 0 "$language: the templates as they are" diff -r expected NAME
                rm -r expected NAME
        done
        try 0 'the default language' "$ambidext" new Plain && [ -f Plain/Plain/Plain.iig ] || fail 'the default is not C++'
        has '^    cd Plain && meson setup build ' 'what to do next'
        rm -r Plain && try 0 'nothing says where we are' env -u PKG_CONFIG_PATH "$ambidext" new Plain
        has "^    cd Plain && PKG_CONFIG_PATH=$build/meson-uninstalled meson setup build " 'what to do next, where pkg-config does not find us'
        ! grep -rq NAME Plain || fail "a NAME has stayed: $(grep -rl NAME Plain)"
        try 1 'a directory that is there' "$ambidext" new --lang c Plain && has 'Plain is there already' 'a directory that is there'
        [ ! -e Plain/Plain/Plain.c ] || fail 'something was written into a directory that is there'
        for name in '' lower 9Lives A-B 'A B' A/B ../A Ä IOThing OSThing Block _Under "$(printf 'A%.0s' $(seq 49))"; do
                try 2 "the name '$name'" "$ambidext" new --lang c "$name" && has "'$name' (does not begin|has other|begins as|is the name|is longer)" "the name '$name'"
        done
        [ "$(ls)" = "$(printf 'Plain\nlog')" ] || fail "a refused name has left something: $(ls)"
        try 2 'no name' "$ambidext" new
        try 2 'two names' "$ambidext" new One Two
        try 2 'a language' "$ambidext" new --lang pascal One && has "c or c\+\+, not 'pascal'" 'a language'
        mkdir shut && chmod 500 shut
        [ "$(id -u)" = 0 ] || { cd shut && try 1 'a place where nothing can be written' "$ambidext" new One && has 'cannot be made' shut; cd ..; }
        exit $((failures > 0))
fi

for language in "$@"; do
        mkdir "$language" && cd "$language" || exit 1
        try 0 "$language: new" "$ambidext" new --lang "$language" Mixer
        try 0 "$language: meson setup" meson setup build Mixer
        try 0 "$language: its tests" meson test -C build --print-errorlogs && has '^Ok: +2' "$language: its tests"
        ! grep -Eq 'warning:|WARNING' "$work/log" build/meson-logs/meson-log.txt || fail "$language: warnings"
        try 0 "$language: its client" "$ambidext" run --dext build/Mixer/Mixer.dext -- build/Mixer-client
        has '^sum: 42$' "$language: scalars" && has '^sum 24, least 3, most 9$' "$language: structures"
        has '^left: 0$' "$language: completions"
        try 0 "$language: a method by its name" "$ambidext" run --dext build/Mixer/Mixer.dext -- ambidext call Mixer Add 19 23
        has '^ 0 +42 ' "$language: a method by its name"
        # A mistake in the driver is found by the tests that come with it.
        sed -i 's/scalarInput\[0\] + /scalarInput[0] - /' Mixer/Mixer/*.c*
        try 1 "$language: its tests, with a mistake in the driver" meson test -C build --print-errorlogs
        has 'not true: sum == 42' "$language: its tests, with a mistake in the driver"
        sed -i 's/scalarInput\[0\] - /scalarInput[0] + /' Mixer/Mixer/*.c*
        # By itself, with a sanitizer.
        try 0 "$language: ambidext build" "$ambidext" build --sanitize=address,undefined --output "$work/$language/out" Mixer/Mixer
        try 0 "$language: with a sanitizer" "$ambidext" run --dext out/Mixer.dext -- build/Mixer-test
        has 'runs with .*asan' "$language: with a sanitizer"
        cd ..
done
exit $((failures > 0))

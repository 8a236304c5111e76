#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The C++ skin's layout test, by both compilers, without optimisation and with all of it: what breaks a vtable pointer that C
# has written is an optimiser that believes to know it.
#
#       test-skin.sh SOURCE_DIRECTORY
set -eu

source=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

# What test-skin links of the project: the object runtime and the ground it stands on.
parts="object/object.c object/test-skin.c base/base.c"
common="-D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -fno-strict-aliasing"
run=0

# CC CXX OPTIONS...
build_and_run() {
        cc=$1 cxx=$2
        shift 2
        run=$((run + 1))
        mkdir "$work/$run"
        for part in $parts; do
                object=$work/$run/$(basename "$part").o
                # shellcheck disable=SC2086
                "$cc" -std=gnu17 $common -I"$source/src" -I"$source/include" "$@" -c "$source/src/$part" -o "$object"
        done
        # shellcheck disable=SC2086
        "$cxx" -std=gnu++17 $common -I"$source/src" -I"$source/include" "$@" -c "$source/src/object/test-skin.cpp" -o "$work/$run/skin.o"
        "$cxx" "$@" "$work/$run"/*.o -o "$work/$run/test-skin"
        "$work/$run/test-skin"
        echo "ok: $cc $*"
}

for compiler in gcc g++ clang clang++; do
        command -v "$compiler" >/dev/null || {
                echo "test-skin: $compiler is missing" >&2
                exit 1
        }
done
build_and_run gcc g++ -O0
build_and_run gcc g++ -O3 -flto=1
build_and_run clang clang++ -O0
build_and_run clang clang++ -O3 -flto

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The design of the generated code, compiled and run: Counter.iig through iig, by clang++ as dexts are, with the driver library, in
# one process.
#
#       test-proof.sh IIG SOURCE_DIRECTORY BUILD_DIRECTORY [FLAG...]            the flags are for compiling and linking
set -eu

iig=$1 source=$2 build=$3
shift 3
proof=$source/src/facade/test
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

include="-I$work -I$proof -I$source/src -I$source/include -I$build/include"
common="-D_GNU_SOURCE -Wall -Wextra -Werror -Wno-unused-parameter -Wno-missing-field-initializers -fno-strict-aliasing -g -O1"

# shellcheck disable=SC2086
"$iig" --def "$proof/Counter.iig" --header "$work/Counter.h" --impl "$work/Counter.iig.cpp" -- -std=gnu++17 $include

compile() {
        standard=$1
        shift
        for file in "$work"/*.iig.cpp "$proof/Counter.cpp"; do
                # shellcheck disable=SC2086
                clang++ -x c++ "-std=$standard" -fblocks -fno-exceptions -Wno-c99-designator $common $include "$@" -c "$file" \
                        -o "$work/$(basename "$file" .cpp).o" &
                jobs="${jobs-} $!"
        done
        for job in $jobs; do
                wait "$job"
        done
        jobs=
}

# What the headers say must also be C++ of other years.
for standard in gnu++11 gnu++20; do
        # shellcheck disable=SC2086
        clang++ -x c++ "-std=$standard" -fblocks -fsyntax-only $common $include "$work/Counter.iig.cpp"
done
for standard in gnu++11 gnu++14 gnu++17 gnu++20; do
        # shellcheck disable=SC2086
        clang++ "-std=$standard" -fblocks $common $include "$@" "$proof/test-values.cpp" -L"$build/src/driver" \
                "-Wl,-rpath,$build/src/driver" -lambidext-driver -lBlocksRuntime -o "$work/test-values-$standard" &
        jobs="${jobs-} $!"
done
compile gnu++17 "$@"
for standard in gnu++11 gnu++14 gnu++17 gnu++20; do
        "$work/test-values-$standard"
done
# shellcheck disable=SC2086
clang -std=gnu17 $common -I"$source/src" -I"$source/include" -I"$proof" "$@" -c "$proof/test-proof.c" -o "$work/test-proof.o"
clang++ "$@" "$work"/*.o -L"$build/src/driver" "-Wl,-rpath,$build/src/driver" -lambidext-driver -lBlocksRuntime -lpthread -o "$work/test-proof"
"$work/test-proof"

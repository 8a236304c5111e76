#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test-memory.cpp as `ambidext build` compiles, in four years' C++, run against the driver library.
#
#       test-memory.sh SOURCE_DIRECTORY BUILD_DIRECTORY [FLAG...]               the flags are for compiling and linking
set -eu

source=$1 build=$2
shift 2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' INT TERM

for standard in gnu++11 gnu++14 gnu++17 gnu++20; do
        clang++ "-std=$standard" -fblocks -fno-exceptions -fno-rtti -Wall -Wextra -Werror -Wno-unused-parameter -g -O1 \
                -DTARGET_OS_DRIVERKIT=1 -include ambidext/dext.h "-I$source/src" "-I$source/include" "-I$build/include" "$@" \
                "$source/src/facade/test/test-memory.cpp" \
                "-L$build/src/driver" "-Wl,-rpath,$build/src/driver" -lambidext-driver -lBlocksRuntime -o "$work/test-$standard" &
        jobs="${jobs-} $!"
done
for job in $jobs; do
        wait "$job"
done
for standard in gnu++11 gnu++14 gnu++17 gnu++20; do
        "$work/test-$standard"
done

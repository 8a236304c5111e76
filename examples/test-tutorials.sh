#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The tutorials do what they say: test-tutorials.sh AMBIDEXT TUTORIAL1.DEXT TUTORIAL3.DEXT TUTORIAL2 TUTORIAL3 [OPTION]
set -eu
said=$("$1" run ${6:+"$6"} --dext "$2" --dext "$3" -- sh -c '"$1" && "$2"' sh "$4" "$5")
wanted='19 + 23 = 42
5
4
3
2
1
0'
[ "$said" = "$wanted" ] || { printf 'the tutorials said:\n%s\n' "$said" >&2; exit 1; }

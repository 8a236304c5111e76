#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The manual pages are formatted without a warning. groff is in every Debian; mandoc, where it is, looks closer.
status=0
for page; do
        said=$(groff -ww -mdoc -Tutf8 -z "$page" 2>&1)
        if command -v mandoc >/dev/null; then
                said="$said$(mandoc -T lint -W warning "$page" 2>&1)"
        fi
        [ -z "$said" ] || { printf '%s\n' "$said"; status=1; }
done
exit $status

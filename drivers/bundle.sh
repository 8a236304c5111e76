#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Puts a driver bundle together: bundle.sh NAME.dext SHARED-OBJECT INFO.PLIST [NAME.entitlements]
# A bundle is a directory with Info.plist, the driver as a shared object called NAME, and, if it has any, its entitlements.
set -eu
bundle=$1 name=$(basename "$1" .dext)
rm -rf "$bundle.new"
mkdir "$bundle.new"
cp "$2" "$bundle.new/$name"
cp "$3" "$bundle.new/Info.plist"
[ $# -lt 4 ] || cp "$4" "$bundle.new/$name.entitlements"
rm -rf "$bundle"
mv "$bundle.new" "$bundle"

#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What a stranger does: install into a prefix, compile an app and a driver with nothing but pkg-config, run them. Then the same
# from the build tree. Usage: test-install.sh SOURCE_DIR BUILD_DIR
set -eu
source=$1 build=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
fail() { echo "FAILED: $*" >&2; exit 1; }

cat >"$work/app.c" <<'C'
#include <stdio.h>
#include <IOKit/IOKitLib.h>
int main(void)
{
        io_service_t service = IOServiceGetMatchingService(kIOMainPortDefault, IOServiceNameMatching("Twice"));
        io_connect_t connection;
        kern_return_t code = IOServiceOpen(service, mach_task_self(), 0, &connection);
        if (code != 0) {
                printf("open: %s\n", mach_error_string(code));
                return 1;
        }
        uint64_t in = 21, out = 0;
        uint32_t count = 1;
        code = IOConnectCallScalarMethod(connection, 0, &in, 1, &out, &count);
        printf("%s %llu\n", mach_error_string(code), (unsigned long long)out);
        IOServiceClose(connection);
        IOObjectRelease(service);
        return code != 0;
}
C
cat >"$work/twice.c" <<'C'
#include <DriverKit/DriverKit.h>
struct TwiceClient { struct IOUserClient client; };
struct Twice { struct IOService service; };
static kern_return_t call(IOUserClient *self, uint64_t selector, IOUserClientMethodArguments *arguments,
                          const IOUserClientMethodDispatch *dispatch, OSObject *target, void *reference)
{
        if (selector != 0 || arguments->scalarInputCount != 1 || arguments->scalarOutputCount < 1)
                return kIOReturnBadArgument;
        arguments->scalarOutput[0] = 2 * arguments->scalarInput[0];
        arguments->scalarOutputCount = 1;
        return kIOReturnSuccess;
}
static kern_return_t start(IOService *self, IOService *provider)
{
        kern_return_t code = IOService_Start(self, provider);
        return code ? code : IOService_RegisterService(self);
}
static kern_return_t open_client(IOService *self, uint32_t type, IOUserClient **client)
{
        return IOService_Create(self, self, "UserClientProperties", (IOService **)client);
}
static const struct amb_method twice_methods[] = { AMB_OVERRIDE(IOService, Start, start),
                                                   AMB_OVERRIDE(IOService, NewUserClient, open_client), AMB_METHODS_END };
static const struct amb_method client_methods[] = { AMB_OVERRIDE(IOUserClient, ExternalMethod, call), AMB_METHODS_END };
OSDefineMetaClass(Twice, IOService, twice_methods);
OSDefineMetaClass(TwiceClient, IOUserClient, client_methods);
C
mkdir "$work/Twice.dext"
cat >"$work/Twice.dext/Info.plist" <<'P'
<?xml version="1.0" encoding="UTF-8"?>
<plist version="1.0"><dict>
<key>CFBundleIdentifier</key><string>org.example.twice</string>
<key>CFBundleExecutable</key><string>Twice</string>
<key>IOKitPersonalities</key><dict><key>Twice</key><dict>
<key>CFBundleIdentifier</key><string>org.example.twice</string>
<key>IOClass</key><string>IOUserService</string>
<key>IOProviderClass</key><string>IOUserResources</string>
<key>IOResourceMatch</key><string>IOKit</string>
<key>IOMatchCategory</key><string>org.example.twice</string>
<key>IOUserClass</key><string>Twice</string>
<key>IOUserServerName</key><string>org.example.twice</string>
<key>UserClientProperties</key><dict><key>IOClass</key><string>IOUserUserClient</string>
<key>IOUserClass</key><string>TwiceClient</string></dict>
</dict></dict></dict></plist>
P
cat >"$work/app.entitlements" <<'P'
<plist version="1.0"><dict><key>com.apple.developer.driverkit.userclient-access</key>
<array><string>org.example.twice</string></array></dict></plist>
P

# pkg-config escapes what a shell would split, for eval and for make
compile() { # PACKAGE COMPILER ARGUMENT...
        package=$1
        shift
        eval "set -- \"\$@\" $(pkg-config --cflags --libs "$package")"
        "$@"
}

try() { # label, ambidext program
        flags=$(pkg-config --cflags ambidext ambidext-driver)
        # the headers, those that iig made (in the build tree), and the C headers as Darwin has them
        [ "$(eval "set -- $flags" && echo $#)" -le 3 ] || fail "$1: more than the public headers is on the include path: $flags"
        for compiler in gcc clang g++ clang++; do
                command -v $compiler >/dev/null || continue
                language=c && case $compiler in *++) language=c++ ;; esac
                compile ambidext $compiler -x $language -Wall -Wextra -Werror -o "$work/app" "$work/app.c" -x none ||
                        fail "$1: the app does not compile with $compiler"
                # C's driver interface: C++ has its own
                [ $language = c++ ] || compile ambidext-driver $compiler -Wall -Werror -shared -fPIC \
                        -o "$work/Twice.dext/Twice" "$work/twice.c" || fail "$1: the driver does not compile with $compiler"
                said=$(timeout 60 "$2" run --dext "$work/Twice.dext" -- "$work/app") || fail "$1, $compiler: $said"
                [ "$said" = "kIOReturnSuccess 42" ] || fail "$1, $compiler: the app said '$said'"
                echo "$1, $compiler: $said"
        done
}

DESTDIR="$work/root" meson install -C "$build" --no-rebuild --quiet >/dev/null
prefix=$(find "$work/root" -name ambidext.pc -printf '%h\n' | head -n 1)
[ -n "$prefix" ] || fail "no ambidext.pc installed"
library=${prefix%/pkgconfig}
export PKG_CONFIG_PATH="$prefix" PKG_CONFIG_SYSROOT_DIR="$work/root" LD_LIBRARY_PATH="$library"
program=$(find "$work/root" -name ambidext -type f -perm -u+x | head -n 1)
try installed "$program"
(cd "$work" && env -u PKG_CONFIG_PATH "$program" new Fresh >said && [ -f Fresh/Fresh/Fresh.iig ]) || fail "installed: ambidext new"
grep -q "PKG_CONFIG_PATH=$prefix " "$work/said" || fail "installed: ambidext new does not say where its pkg-config files are"
[ -f "$(dirname "$program")/../share/ambidext/fuzz/harness.c" ] || fail "installed: no harness for ambidext build --fuzz"

unset PKG_CONFIG_SYSROOT_DIR
export PKG_CONFIG_PATH="$build/meson-uninstalled" LD_LIBRARY_PATH="$build/src/client:$build/src/driver"
try build-tree "$build/src/cli/ambidext"

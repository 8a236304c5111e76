#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# The command line tool as people and scripts meet it: exit statuses, messages, JSON, and nothing left behind.
# Usage: test-cli.sh BUILD_DIR
set -u
build=$1
ambidext=$build/src/cli/ambidext
sensors=$build/drivers/sensors.dext
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
mkdir "$work/tmp" "$work/files"
unset XDG_RUNTIME_DIR AMBIDEXT_REGISTRY
export TMPDIR=$work/tmp LC_ALL=C.UTF-8
failures=0
options=()
[ -z "${AMBIDEXT_TEST_NO_SANDBOX-}" ] || options=(--no-sandbox)

fail() {
        echo "FAILED: $*"
        sed 's/^/    out: /' "$work/out"
        sed 's/^/    err: /' "$work/err"
        failures=$((failures + 1))
}

# try STATUS WHAT COMMAND...: runs it, wants this exit status; output in $work/out and $work/err
try() {
        local wanted=$1 what=$2 status
        shift 2
        timeout 100 "$@" >"$work/out" 2>"$work/err" </dev/null
        status=$?
        [ "$status" = "$wanted" ] || fail "$what: status $status, not $wanted"
}
out_has() { grep -Eq -- "$1" "$work/out" || fail "$2: no '$1' on standard output"; }
err_has() { grep -Eq -- "$1" "$work/err" || fail "$2: no '$1' on standard error"; }
is_json() { python3 -m json.tool "$work/out" >/dev/null 2>&1 || fail "$1: not JSON"; }
run=("$ambidext" run "${options[@]}")
with_sensors=("$ambidext" run "${options[@]}" --dext "$sensors" --)

# Processes of a private registry below our directory: every daemon and host has its socket's path in the environment or arguments.
survivors() { grep -lasE -e "$work/tmp/ambidext-[^/]*/registry" /proc/[0-9]*/cmdline /proc/[0-9]*/environ; }
nothing_left() {
        [ -z "$(survivors)" ] || fail "$1: processes are left: $(survivors)"
        [ -z "$(ls -A "$work/tmp")" ] || fail "$1: files are left: $(ls -AR "$work/tmp")"
}
until_true() { # SECONDS COMMAND...: for what has no event that a script could wait for
        local end=$((SECONDS + $1))
        shift
        until "$@"; do
                [ "$SECONDS" -lt "$end" ] || return 1
        done
}

# --- called wrongly ---
try 0 version "$ambidext" --version && out_has '^ambidext [0-9]' version
try 0 help "$ambidext" --help && out_has '^  bench' help
try 2 nothing "$ambidext"
try 2 'unknown verb' "$ambidext" frobnicate && err_has "no verb 'frobnicate'" 'unknown verb'
for verb in run ls call load unload build bench; do
        try 0 "$verb --help" "$ambidext" $verb --help && out_has "^ambidext $verb" "$verb --help"
        try 2 "$verb --nonsense" "$ambidext" $verb --nonsense && err_has 'no option --nonsense' "$verb --nonsense"
done
try 2 'ls with an argument' "$ambidext" ls something
try 2 'call of nothing' "$ambidext" call
try 2 'call with a bad scalar' "$ambidext" call sensors 0 twelve && err_has "'twelve' is not a number" 'bad scalar'
try 2 'call with bad bytes' "$ambidext" call --struct 0g sensors 0
try 2 'call with too many scalars' "$ambidext" call sensors 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17
try 1 'call with a missing file' "$ambidext" call --struct @"$work/none" sensors 0 && err_has "$work/none: No such file" 'missing file'
try 2 'load of nothing' "$ambidext" load
for wrong in 'ls --nonsense --json' 'ls --json something' 'call --json' 'call --json sensors 0 twelve' 'load --json' 'unload --json'; do
        try 2 "$wrong" "$ambidext" $wrong && is_json "$wrong" && out_has '"error"' "$wrong"
        [ ! -s "$work/err" ] || fail "$wrong: something on standard error"
done
try 1 'load, no such bundle' "$ambidext" load --json none.dext && is_json 'load, no such bundle' && out_has 'none.dext: No such file' 'load, no such bundle'
try 1 'bench, file' "$ambidext" bench --json "$work/none/x" && err_has "$work/none/x: No such file" 'bench, file' && [ ! -s "$work/out" ]
try 2 '--dext without a value' "$ambidext" run --dext && err_has 'needs a value' '--dext without a value'

# --- no registry ---
export AMBIDEXT_REGISTRY=$work/none/registry
try 1 'ls without a registry' "$ambidext" ls && err_has "$work/none/registry" 'ls without a registry'
try 1 'ls --json without a registry' "$ambidext" ls --json && is_json 'ls --json without a registry' && out_has '"error"' 'error as JSON'
try 1 'call without a registry' "$ambidext" call sensors 0 && err_has "$work/none/registry" 'call without a registry'
unset AMBIDEXT_REGISTRY

# --- run: statuses ---
try 0 'run true' "${run[@]}" -- true
[ ! -s "$work/out" ] || fail 'run true: something on standard output'
try 7 'run exit 7' "${run[@]}" -- sh -c 'exit 7'
try 137 'run, killed' "${run[@]}" -- sh -c 'kill -9 $$'
try 127 'run, no such program' "${run[@]}" -- "$work/no-such-program" && err_has 'no-such-program: No such file' 'no such program'
echo data >"$work/files/data"
try 126 'run, not a program' "${run[@]}" -- "$work/files/data"
try 1 'run, no such bundle' "${run[@]}" --dext "$work/none.dext" -- true && err_has "$work/none.dext: No such file.*NAME.dext" 'no such bundle'
try 1 'run, not a bundle' "${run[@]}" --dext "$work/files" -- true && err_has 'Info.plist' 'not a bundle'
mkdir "$work/files/bad.dext" && echo '<plist' >"$work/files/bad.dext/Info.plist"
try 1 'run, broken bundle' "${run[@]}" --dext "$work/files/bad.dext" -- touch "$work/started" && err_has 'bad.dext' 'broken bundle'
[ ! -e "$work/started" ] || fail 'run, broken bundle: the program was started'
SHELL=/bin/false try 1 'run without a program' "${run[@]}"
variant() { # EXPRESSION OF SED: sensors.dext with another Info.plist
        rm -rf "$work/files/sensors.dext"
        cp -r "$sensors" "$work/files/sensors.dext"
        sed -i "$1" "$work/files/sensors.dext/Info.plist"
}
variant 's/<string>IOKit</<string>Never</'
try 1 'run, nothing matches' "${run[@]}" --dext "$work/files/sensors.dext" -- true && err_has 'nothing that is there matches' 'nothing matches'
try 0 'load, nothing matches' "${run[@]}" -- ambidext load "$work/files/sensors.dext" && err_has 'note: .* no service yet' 'load, nothing matches'
variant 's/<string>Sensors</<string>Nonsense</'
try 1 'run, no such class' "${run[@]}" --dext "$work/files/sensors.dext" -- true && err_has 'has no class Nonsense .no symbol gNonsenseMetaClass' 'no such class'
variant ''
rm "$work/files/sensors.dext/sensors"
try 1 'run, no executable' "${run[@]}" --dext "$work/files/sensors.dext" -- true && err_has 'sensors.dext/sensors: No such file' 'no executable'
printf '\177ELF\1\1\1' | dd of="$work/files/sensors.dext/sensors" bs=1 seek=0 2>/dev/null
truncate -s 4096 "$work/files/sensors.dext/sensors"
try 1 'run, another machine' "${run[@]}" --dext "$work/files/sensors.dext" -- true && err_has 'for another machine' 'another machine'
variant ''
mv "$work/files/sensors.dext" "$work/files/other.dext"
try 0 'run, another name' "${run[@]}" --dext "$work/files/other.dext" -- ambidext call sensors 0
nothing_left 'after statuses'

# --- run, ls, call ---
try 0 'ls' "${with_sensors[@]}" ambidext ls
out_has 'sensors  <class IOUserService, user class Sensors, id 0x[0-9a-f]+, pid [0-9]+, registered, matched>' ls
try 0 'ls --json' "${with_sensors[@]}" ambidext ls --json && is_json 'ls --json' && out_has '"name": "sensors"' 'ls --json'
try 0 'ls -l' "${with_sensors[@]}" ambidext ls -l && out_has 'CFBundleIdentifier = org.ambidext.driver.sensors' 'ls -l'
try 0 'call 0' "${with_sensors[@]}" ambidext call sensors 0 && out_has '^ 0 +[0-9]+  0x[0-9a-f]{16}$' 'call 0'
[ "$(wc -l <"$work/out")" = 6 ] || fail 'call 0: not 6 scalars'
try 0 'call by name' "${with_sensors[@]}" ambidext call sensors ReadCPU 0 && out_has '^ 7 ' 'call by name'
try 0 'call, structure' "${with_sensors[@]}" ambidext call sensors Snapshot && out_has '^000000a0 ( [0-9a-f]{2}){16}' 'call, structure'
try 0 'call, large structure' "${with_sensors[@]}" ambidext call --json sensors ReadAll && is_json 'call, large structure'
try 0 'methods' "${with_sensors[@]}" ambidext call sensors && out_has ' GetInfo$' methods && out_has 'Subscribe .completions.' methods
try 0 'methods as JSON' "${with_sensors[@]}" ambidext call --json sensors && is_json 'methods as JSON'
try 0 'completions' "${with_sensors[@]}" ambidext call --async 1 sensors Subscribe 50
[ "$(grep -c '^completion: kIOReturnSuccess ' "$work/out")" -ge 5 ] || fail 'completions: fewer than 5 in a second'
try 0 'completions as JSON' "${with_sensors[@]}" ambidext call --json --async 1 sensors Subscribe 200 && is_json 'completions as JSON'
try 1 'bad selector' "${with_sensors[@]}" ambidext call sensors 99 && err_has 'kIOReturnUnsupported \(0xe00002c7\)' 'bad selector'
try 1 'bad counts' "${with_sensors[@]}" ambidext call sensors 1 && err_has 'kIOReturnBadArgument \(0xe00002c2\)' 'bad counts'
err_has 'ReadCPU takes 1 scalar and 0 bytes and gives 8 scalars.*got 0 scalars' 'bad counts'
try 1 'bad type' "${with_sensors[@]}" ambidext call --type 9 sensors 0 && err_has 'no user client of type 9' 'bad type'
try 1 'bad selector as JSON' "${with_sensors[@]}" ambidext call --json sensors 99 && is_json 'bad selector as JSON'
out_has '"name": "kIOReturnUnsupported"' 'bad selector as JSON'
try 1 'no such method' "${with_sensors[@]}" ambidext call sensors Frobnicate && err_has "no method 'Frobnicate'" 'no such method'
try 1 'no such service' "${with_sensors[@]}" ambidext call nobody 0 && err_has "no service 'nobody'" 'no such service'
try 1 'no such id' "${with_sensors[@]}" ambidext call 0x7777 0 && err_has "no service '0x7777'" 'no such id'

# --- who may open: the same tool, somewhere else, declares nothing ---
cp "$ambidext" "$work/files/undeclared"
export LD_LIBRARY_PATH=$build/src/client
try 1 'undeclared' "${with_sensors[@]}" "$work/files/undeclared" call sensors 0
unset LD_LIBRARY_PATH
err_has 'kIOReturnNotPermitted \(0xe00002e2\)' undeclared
err_has 'com.apple.developer.driverkit.userclient-access' 'the refusal names the entitlement'
nothing_left 'after calls'

# --- load, unload ---
cat >"$work/files/load" <<SCRIPT
#!/bin/bash
set -e
[ -z "\$(ambidext ls | grep 'sensors  <')" ]
[ "\$(ambidext load '$sensors')" = org.ambidext.driver.sensors ]
ambidext call sensors 0 >/dev/null
ambidext unload org.ambidext.driver.sensors
end=\$((SECONDS + 20))
while ambidext ls | grep -q 'sensors  <'; do [ \$SECONDS -lt \$end ]; done
! ambidext unload org.ambidext.driver.sensors
! ambidext load '$work/none.dext'
SCRIPT
chmod +x "$work/files/load"
try 0 'load and unload' "${run[@]}" -- "$work/files/load"
nothing_left 'after load'

# --- signals and deaths ---
cat >"$work/files/driver-dies" <<'SCRIPT'
#!/bin/bash
# A call that waits for completions; its driver is killed after the first. Ends with the call's status.
exec {lines}< <(ambidext call "$@" --async 60 sensors Subscribe 100; echo "status $?")
IFS= read -r line <&$lines
kill -9 "$(ambidext ls | sed -n 's/.*sensors  <.* pid \([0-9]*\).*/\1/p')"
cat <&$lines
SCRIPT
chmod +x "$work/files/driver-dies"
try 0 'completions, the driver dies' "${with_sensors[@]}" "$work/files/driver-dies" && out_has '^status 1$' 'completions, the driver dies'
err_has 'sensors was terminated: no more completions' 'completions, the driver dies'
mkfifo "$work/fifo"
start_sleeper() { # run a program that says when it is there and then waits; with the signals that it may have been started without
        env --default-signal=HUP,INT "${with_sensors[@]}" sh -c 'echo $$ >"$0"; exec sleep 1000' "$work/fifo" >"$work/out" 2>"$work/err" </dev/null &
        sleeper=$!
        read -r program <"$work/fifo"
}
for signal in TERM HUP INT; do
        start_sleeper
        kill -$signal $sleeper
        wait $sleeper
        status=$?
        [ $status = $((128 + $(kill -l $signal))) ] || fail "run after SIG$signal: status $status"
        nothing_left "after SIG$signal"
done

cat >"$work/files/daemon-dies" <<'SCRIPT'
#!/bin/bash
for child in $(cat /proc/$PPID/task/$PPID/children); do
        case $(readlink /proc/$child/exe) in */ambidextd) daemon=$child ;; esac
done
kill -9 "$daemon" || exit 3
end=$((SECONDS + 20))
until ambidext call sensors 0 2>/dev/null; do [ $SECONDS -lt $end ] || exit 4; done
SCRIPT
chmod +x "$work/files/daemon-dies"
try 0 'the daemon dies' "${with_sensors[@]}" "$work/files/daemon-dies" && err_has 'was killed by signal 9.*started again' 'the daemon dies'
nothing_left 'after the daemon died'
grep -q 'ready-fd' "$work/err" && fail 'the daemon dies: the new one has nobody to tell that it is ready'

# Much output: a reader that goes away early is no failure, a full disk is one.
try 0 'output into head' "${with_sensors[@]}" bash -c 'ambidext call sensors 3 | head -c 10; exit ${PIPESTATUS[0]}'
try 1 'output to a full disk' "${with_sensors[@]}" bash -c 'ambidext call sensors 3 >/dev/full' && err_has 'standard output: ' 'a full disk'
grep -q temporarily "$work/err" && fail 'a full disk: an error of something else is named'

# run itself is killed: daemon and host see it; the directory remains, nobody is there to remove it
start_sleeper
kill -9 $sleeper
wait $sleeper 2>/dev/null
kill "$program"
gone() { [ -z "$(survivors)" ]; }
until_true 30 gone || fail "run was killed: processes are left: $(survivors)"

[ "$failures" = 0 ] && echo "all well"
exit $((failures > 0))

#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# What people read when they have made a mistake: what happened, where, what to do; once; and a status that is not 0.
# Usage: test-words.sh BUILD_DIR WORDS.dext SANITIZE; SANITIZE: what the project is built with (b_sanitize)
set -u
. "$(dirname "$0")/../try.sh"
build=$1 words=$(realpath -- "$2") sanitize=$3
ambidext=$build/src/cli/ambidext
work=$(mktemp -d) || exit 1
trap 'rm -rf "$work"' EXIT
cd "$work" || exit 1
unset XDG_RUNTIME_DIR AMBIDEXT_REGISTRY
export TMPDIR=$work LC_ALL=C.UTF-8
dext=$work/words.dext
options=()
[ -z "${AMBIDEXT_TEST_NO_SANDBOX-}" ] || options=(--no-sandbox)

with=(timeout 100 "$ambidext" run "${options[@]}" --dext "$dext" --)
# once WHAT PATTERN...: one line of the log has it
once() {
        local what=$1 pattern
        shift
        for pattern in "$@"; do
                [ "$(grep -Ec -- "$pattern" "$work/log")" = 1 ] || fail "$what: not one line with '$pattern'"
        done
}
variant() { # EXPRESSION OF SED: the bundle with another Info.plist
        rm -rf "$dext"
        cp -r "$words" "$dext"
        sed -i "$1" "$dext/Info.plist"
}

# --- drivers that do not start ---
if [ "$sanitize" = none ]; then         # a sanitizer has words of its own
        variant 's/<string>Words</<string>WordsCrash</'
        try 1 'a crash in Start' true
        once 'a crash in Start' 'ended by signal 11 .*ambidext build --sanitize=address,undefined' 'signal|crash' 'has registered no service'
fi
variant 's/<string>Words</<string>WordsFail</'
try 1 'Start fails' true
once 'Start fails' '::start\(.*\) fail \(0xe00002be\): kIOReturnNoResources; what the driver or its host logged before' 'has registered no service'
variant 's/<string>Words</<string>WordsSilent</'
try 1 'not registered' true
once 'not registered' 'words.dext \(org.ambidext.words\) runs, but .* its Start must call RegisterService'
variant 's/<string>Words</<string>WordsGone</'
try 1 'no such class' true
once 'no such class' 'words.dext/words has no class WordsGone \(no symbol gWordsGoneMetaClass\): correct IOUserClass .* WordsGone.iig in C\+\+'

# --- files that are not what they should be ---
variant ''
LC_ALL=C sed -i 's/libambidext-driver\.so\.0/libambidext-driver.so.9/' "$dext/words"
try 1 'another version' true
once 'another version' 'could not load .*kIOReturnUnsupported.*libambidext-driver.so.9.*built for another version of Ambidext.*build it again'
variant ''
head -c 400 "$words/Info.plist" >"$dext/Info.plist"
try 1 'half a plist' true
once 'half a plist' 'words.dext/Info.plist: line [0-9]+: the property list ends too early: is the file whole\?'
variant ''
mkdir "$work/files" && cp "$ambidext" "$work/files/client" && echo '<plist><dict>' >"$work/files/client.entitlements"
LD_LIBRARY_PATH=$build/src/client${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH} try 1 'bad entitlements' "$work/files/client" call Words 0
once 'bad entitlements' 'client.entitlements grants nothing: line 2: ' "refused: process .*$work/files/client.* may not open"

# --- user clients that the driver does not make ---
variant ''
try 1 'no such dictionary' ambidext call --type 1 Words 0
once 'no such dictionary' 'Create: the service.s personality in Info.plist has no dictionary Absent' \
        'open failed: .* has not opened Words-0x[0-9a-f]+: kIOReturnBadArgument \(0xe00002c2\), which the driver.s NewUserClient or'
try 1 'a class that nobody knows' ambidext call --type 2 Words 0
once 'a class that nobody knows' 'Create: the dictionary Odd in Info.plist has the IOClass "IOPCIDevice"; expected IOUserUserClient'

# --- a driver that never answers: who waits is told so, and the driver is killed in the end, said once ---
cat >"$work/files/impatient" <<'SCRIPT'
#!/bin/bash
exec {notes}< <(exec ambidext call Words 0 2>&1)
call=$!
IFS= read -r -t 60 line <&$notes
kill "$call"
echo "it said: $line"
SCRIPT
chmod +x "$work/files/impatient"
try 0 'no answer' "$work/files/impatient"
once 'no answer' 'it said: ambidext: note: the driver of Words has not answered method 0 for 5 seconds now; still waiting' \
        'does not end within 5 s, killing it: does one of the driver.s methods not return'

exit $((failures > 0))

# SPDX-License-Identifier: Apache-2.0
# The driver is unloaded when the client says that it waits for that.
while read -r line; do
        echo "$line"
        case $line in 'waiting for'*) "$AMBIDEXT" unload org.ambidext.echo >&2 ;; esac
done < <("$CLIENT")

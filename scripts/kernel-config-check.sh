#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# kernel-config-check.sh .config fragment...: fail if Kconfig dropped what a
# fragment asked for (the last fragment that mentions a symbol counts).
set -eu
config=$1
shift
cat "$@" | awk -v config="$config" '
	/^CONFIG_[A-Za-z0-9_]+=/ { split($0, a, "="); want[a[1]] = $0 }
	/^# CONFIG_[A-Za-z0-9_]+ is not set/ { want[$2] = "" }
	END {
		while ((getline line < config) > 0)
			if (line ~ /^CONFIG_/) { split(line, a, "="); have[a[1]] = line }
		for (s in want)
			if (want[s] != have[s]) {
				print "config: wanted \"" (want[s] ? want[s] : s " off") "\", got \"" (have[s] ? have[s] : "off") "\"" > "/dev/stderr"
				bad = 1
			}
		exit bad
	}'

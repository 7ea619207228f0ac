# SPDX-License-Identifier: GPL-2.0
# meet NAME: barrier of all nodes, for scripts; sourced.
meet() {
	if [ -z "${DSM_LOCAL-}" ]; then
		dsm-barrier -t 90 "$(basename "$0")-$1"
		return
	fi
	: >"$DSM_LOCAL/$1.$DSM_NODE"
	for meet_try in $(seq 9000); do
		[ "$(ls "$DSM_LOCAL" | grep -c "^$1\.[0-9]*$")" = "$DSM_NODES" ] && return 0
		sleep 0.01
	done
	return 1
}

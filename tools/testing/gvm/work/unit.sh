#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
# unit.sh: what guest-work.service of scripts/debian-image.sh runs (/opt/work). It has the CPUs come
# that maxcpus= left for later, then runs /opt/work.sh, if there is one, and says in TAP how it went.

# To the kernel's log: its lines are whole, also on a console that others write to.
say() { echo "<4>tap: $*" >/dev/kmsg; }

comment() { while IFS= read -r line; do say "# $line"; done; }

# parameter NAME: as the kernel's command line has it.
parameter() { sed -n "s/.*\<$1=\([^ ]*\).*/\1/p" /proc/cmdline; }

online() {
	local cpu
	for cpu in /sys/devices/system/cpu/cpu[1-9]*/online; do
		echo 1 >"$cpu" || return
	done
	[ "$(nproc)" = "$(parameter GVM_CPUS)" ]
}

# A getty that waits for a name has shown its prompt.
prompt() {
	local pid nr
	for _ in {1..300}; do
		pid=$(pgrep -x agetty -t ttyS0) && read -r nr _ <"/proc/$pid/syscall" &&
			case $nr in 0 | 7 | 23 | 270 | 271) return ;; esac	# read, poll, select
		sleep 0.2
	done
	return 1
}

# Waits for the end of the boot; degraded if a unit failed.
running() {
	local state
	state=$(timeout 60 systemctl is-system-running --wait)
	[ "$state" = running ] && return
	systemctl --failed --no-legend | comment
	return 1
}

work() {
	[ -e /opt/work.sh ] || return 0
	bash /opt/work.sh /opt/nas | comment
	return "${PIPESTATUS[0]}"
}

failed=0
say 1..4
nr=0
for what in prompt online running work; do
	nr=$((nr + 1))
	if $what; then
		say "ok $nr $what"
	else
		say "not ok $nr $what"
		failed=1
	fi
done
exit $failed

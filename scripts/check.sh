#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Every check, to the end; the last line is the sum. FULL=1 adds the long ones.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
tally=scripts/tally
part() { name=$1; shift; $tally run "$name" make -s --no-print-directory "$@" || lost="$lost $name"; }
lost=
$tally start || exit 1
part deps deps
part lint lint
part harness harness-test
part core-test core-test
part gvm-unit gvm-unit
part exhaust exhaust
part sim sim-check
part mutate mutate
part modules-stock modules
part tools-check tools-check
part tests-check tests-check
part selftests-stock selftests
# The first time the kernel with the patch series is built: 8 to 16 minutes on two cores.
part modules-patched modules KERNEL=qemu-patched
part selftests-patched selftest KERNEL=qemu-patched \
	T="hook adopt adopt-mm coherent mailbox mm gup resident litmus locks stress"
part selftests-patched-3 selftest KERNEL=qemu-patched NODES=3 T="mm litmus stress"
part gvm gvm-selftests T="control ends move clock adopted sum"
part gvm-patched gvm-selftests KERNEL=qemu-patched NODES=2 T="adopted boot q35 irqs move"
part gvm-soak gvm-selftests KERNEL=qemu-patched NODES=2 T=soak GVM_SOAK=linux
part gvm-patched-3 gvm-selftests KERNEL=qemu-patched NODES=3 T=boot
part demo-gvm demo-gvm
part bench bench ARGS=--quick
if [ -n "${FULL-}" ]; then
	part fuzz fuzz
	part sim-soak sim-soak
	# Builds the debug kernel if it is not in ~/.cache/memos: 16 minutes on two cores.
	part modules-debug modules KERNEL=debug
	part selftests-debug selftests KERNEL=debug
	part patches patches-check
	part gvm-linux gvm-selftests KERNEL=qemu-patched NODES=2 T="debian linux"
	part selftests-patched-all selftests KERNEL=qemu-patched
	part fault-cost fault-cost
	part kvm-cost kvm-cost
	part mm-selftests mm-selftests
fi
# shellcheck disable=SC2086 # words
$tally sum $lost

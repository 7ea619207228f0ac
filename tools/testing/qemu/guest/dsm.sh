#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# dsm.sh up|down DSM_KO NODE PEERS ARGS: runs on a server, for Cluster.dsm_up/down.
set -eu
mnt=${DSM_MNT:-/dev/dsm}
case $1 in
up)
	# shellcheck disable=SC2086
	insmod "$2" node="$3" peers="$4" ${5-}
	mkdir -p "$mnt"
	mount -t dsmfs none "$mnt"
	;;
down)
	while grep -q " $mnt dsmfs " /proc/mounts; do umount "$mnt"; done
	if grep -q '^dsm ' /proc/modules; then rmmod dsm; fi
	;;
esac

#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Print an ext4 image of Debian 12, filling the cache at need (four minutes, 1 GB): the disk of a
# guest. It has Debian's own init, and what tools/testing/gvm/work/work.sh measures. root logs in
# without a password. guest-work.service runs /opt/work if the kernel's command line wants it
# (systemd.wants=guest-work.service); what it prints is on the console; then the guest powers off.
set -eu
packages=dbus,gcc,iproute2,kmod,libc6-dev,libgomp1,login,make,numactl,postgresql,procps,stress-ng,sysbench,systemd-sysv,udev
cache=${MEMOS_CACHE:-$HOME/.cache/memos}
image=$cache/debian-$(sha256sum "$0" | cut -c1-16).img
[ -e "$image" ] && { echo "$image"; exit; }

mkdir -p "$cache"
exec 9>"$cache/debian.lock"
flock -w 900 9 || { echo "$cache/debian.lock is held" >&2; exit 1; }
[ -e "$image" ] && { echo "$image"; exit; }
[ "$(id -u)" = 0 ] || { echo "mmdebstrap makes a root file system: run this as root" >&2; exit 1; }
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing: run 'make deps'" >&2; exit 1; }
tmp=$(mktemp -d -p "$cache")
trap 'rm -rf "$tmp"' EXIT
cat >"$tmp/guest-work.service" <<EOF
[Unit]
After=multi-user.target
SuccessAction=poweroff-force
FailureAction=poweroff-force
[Service]
Type=idle
ExecStart=/opt/work
StandardOutput=tty
TTYPath=/dev/console
TimeoutStartSec=infinity
EOF
echo "debian-image: building $image" >&2
mmdebstrap --quiet --variant=minbase --include=$packages \
	--aptopt='Apt::Install-Recommends "false"' \
	--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
	--dpkgopt='path-exclude=/usr/share/man/*' \
	--customize-hook='echo guest >"$1/etc/hostname"' \
	--customize-hook='chroot "$1" passwd -d root' \
	--customize-hook='chroot "$1" systemctl disable postgresql apt-daily.timer apt-daily-upgrade.timer' \
	--customize-hook="copy-in $tmp/guest-work.service /etc/systemd/system" \
	bookworm "$tmp/root" >&2
# Room to write in; no journal: the image is used by copies that are thrown away.
size=$(($(du -sm "$tmp/root" | cut -f1) * 5 / 4 + 200))
mke2fs -q -t ext4 -O '^has_journal' -m 0 -d "$tmp/root" "$tmp/image" "${size}M" >&2
mv "$tmp/image" "$image"
echo "$image"

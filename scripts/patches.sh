#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The kernel patch series, in the order of its file "series":
#	patches.sh list			the patches, with their paths
#	patches.sh apply DIR		apply them to the kernel source in DIR
#	patches.sh refresh [TREE]	bring them up to date with the base, or take
#					them from the git commits of TREE since its first
#	patches.sh check		do they apply without fuzz to the base of
#					kernel/base, and please checkpatch; does each
#					compile; is mm/ as before without MM_COHERENT?
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
. "$top/kernel/base"
dir=$top/$PATCHES

list() { sed -n "s|^[^#].*|$dir/&|p" "$dir/series"; }
touched() { list | xargs sed -n 's|^+++ b/||p' | sort -u; }

apply_one() { # TREE PATCH
	patch -d "$1" -p1 -s -F0 --no-backup-if-mismatch <"$2" >&2 || {
		echo "$2 does not apply" >&2; return 1; }
}

apply() { for p in $(list); do apply_one "$1" "$p" || return 1; done; }

# A git repository of the touched files only, a commit a patch.
import() { # TREE
	git init -q "$1"
	touched | while read -r f; do
		[ ! -e "$src/$f" ] || (cd "$src" && cp --parents -p "$f" "$1")
	done
	git -C "$1" config user.name MemOS && git -C "$1" config user.email memos@localhost
	git -C "$1" add -Af && git -C "$1" commit -qm base
	for p in $(list); do
		# Fuzz is what a refresh is for.
		patch -d "$1" -p1 -s --no-backup-if-mismatch <"$p" >&2
		git -C "$1" add -Af
		git mailinfo "$1/.git/msg" "$1/.git/diff" <"$p" >"$1/.git/info.txt"
		{ sed -n 's/^Subject: //p' "$1/.git/info.txt"; echo; cat "$1/.git/msg"; } |
			git -C "$1" commit -qF - --author="$(sed -n 's/^From: //p' "$p" | head -n 1)" \
				--date="$(sed -n 's/^Date: //p' "$1/.git/info.txt")"
	done
}

refresh() {
	tree=${1-}
	[ -n "$tree" ] || { tree=$tmp/git; import "$tree"; }
	rm -f "$dir"/*.patch
	git -C "$tree" format-patch -q -N --zero-commit --no-signature --no-numbered -o "$dir" \
		"$(git -C "$tree" rev-list --max-parents=0 HEAD)"
	{
		echo "# SPDX-License-Identifier: GPL-2.0"
		echo "# README.rst says what each is for."
		cd "$dir" && ls ./*.patch | sed 's|^\./||'
	} >"$tmp/series"
	mv "$tmp/series" "$dir/series"
}

case ${1-} in list|apply|refresh|check) ;; *) sed -n '3,10s/^# *//p' "$0" >&2; exit 2 ;; esac
[ "$1" = list ] && { list; exit; }
[ "$1" = apply ] && { apply "${2:?apply where?}"; exit; }
src=$("$top/scripts/kernel-source.sh")
tmp=$(mktemp -d "${TMPDIR:-/tmp}/patches.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
[ "$1" = refresh ] && { refresh "${2-}"; exit; }
. "$top/scripts/patches-check.sh"

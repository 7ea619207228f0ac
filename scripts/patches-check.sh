# SPDX-License-Identifier: GPL-2.0
# shellcheck shell=sh disable=SC2154
# The part of patches.sh, which sources it, that finds what is wrong with the
# series. Works in a tree of symbolic links to the base, configured as the
# emulated servers are.
tree=$tmp/tree
out=$tmp/out
failed=0
bad() { echo "FAIL patches $1: $2" >&2; failed=$((failed + 1)); }
mk() { nice -n 19 make -s -C "$tree" O="$out" -j"${JOBS:-2}" "$@" >"$tmp/make.log" 2>&1; }

configure() { # y|n
	(cd "$out" && "$tree/scripts/kconfig/merge_config.sh" -m -O . .config.base \
		"$top/kernel/coherent.config") >/dev/null
	[ "$1" = y ] || sed -i 's/^\(CONFIG_MM_COHERENT\)=y/# \1 is not set/' "$out/.config"
	mk olddefconfig
}

# What the CPU sees of an object: instructions and what they refer to.
text() { (cd "$out" && for o in "$@"; do objdump -dr "$o" | sed '/file format/d'; done) >"$tmp/text"; }

compiles() { # LABEL y|n
	configure "$2"
	# shellcheck disable=SC2046
	mk $(objects "$2") && return
	bad "$1" "does not compile with MM_COHERENT=$2"
	tail -n 20 "$tmp/make.log" >&2
}

# Objects of the .c files the series touches, as far as there are any yet.
objects() { # y|n
	for f in $(touched); do
		case $f:$1 in mm/*.c:? | arch/x86/kvm/*.c:y) ;; *) continue ;; esac
		[ -e "$tree/$f" ] || continue
		[ "$1" = y ] || [ -e "$src/$f" ] || continue
		echo "${f%.c}.o"
	done
}

cp -rs "$src" "$tree"
for f in $(touched); do
	[ ! -e "$src/$f" ] || cp --remove-destination "$src/$f" "$tree/$f"
done
mkdir -p "$out"
mk tinyconfig
(cd "$out" && "$tree/scripts/kconfig/merge_config.sh" -m -O . .config "$top/kernel/qemu.config") >/dev/null
mv "$out/.config" "$out/.config.base"
compiles base n
text $(objects n)
mv "$tmp/text" "$tmp/text.base"
for p in $(list); do
	name=$(basename "$p" .patch)
	# MAINTAINERS has all of arch/x86/kvm, checkpatch does not look.
	perl "$src/scripts/checkpatch.pl" --strict --no-tree --root="$src" --terse --no-summary \
		--ignore FILE_PATH_CHANGES "$p" >&2 ||
		bad "$name" checkpatch
	apply_one "$tree" "$p" || { bad "$name" apply; break; }
	compiles "$name" y
	compiles "$name" n
	text $(objects n)
	cmp -s "$tmp/text" "$tmp/text.base" || {
		bad "$name" "mm/ changes without MM_COHERENT"
		diff "$tmp/text.base" "$tmp/text" | head -n 20 >&2; }
done
nr=$(list | wc -l)
[ "$failed" != 0 ] || echo "patches: $nr apply, compile, and leave $(objects n | tr '\n' ' ')as they are without MM_COHERENT"
[ "$failed" = 0 ]

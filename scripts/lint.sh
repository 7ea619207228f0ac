#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Static checks; each is a part of its own. Last line: the sum.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
src=$(scripts/kernel-source.sh) || exit 1
git ls-files | grep -q . || { echo "git names no files: nothing would be checked"; exit 1; }
passed=0 failed=0
check() {
	name=$1
	shift
	if "$@" >"build/lint/$name" 2>&1; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		echo "FAIL lint $name:"
		head -n 60 "build/lint/$name"
	fi
}
mkdir -p build/lint

sparse() { scripts/modules-build.sh stock C=2 CF=-Wsparse-error; }
# checkpatch errs on TRACE_EVENT headers, and on X-macros (the last four types).
xmacro=COMPLEX_MACRO,BRACKET_SPACE,MACRO_ARG_UNUSED,TRAILING_SEMICOLON
# What the kernel has macros for and user space has not, and what tables look like.
user=STRCPY,STATIC_CONST_CHAR_ARRAY,CONSTANT_COMPARISON,VOLATILE,PREFER_DEFINED_ATTRIBUTE_MACRO,ARRAY_SIZE,EMBEDDED_FUNCTION_NAME,LINE_SPACING,LEADING_SPACE
checkpatch() {
	ignore=FILE_PATH_CHANGES,SPDX_LICENSE_TAG,$xmacro$1
	shift
	git ls-files "$@" | grep -v '/trace\.h$' | xargs -r \
		perl "$src/scripts/checkpatch.pl" --root="$src" --no-tree --terse --no-summary --file \
		--ignore "$ignore"
}
checkpatch_kernel() { checkpatch "" 'modules/*.[ch]'; }
checkpatch_user() { checkpatch ",$user,TRAILING_STATEMENTS" 'tools/*.[ch]'; }
hdrtest() { scripts/hdrtest.sh; }
purity() { scripts/purity.sh; }
spdx() {
	! git ls-files | grep -vE '^COPYING|^MAINTAINERS|README|\.md$|\.rst$|\.gitignore|\.(patch|svg|png|json|seed|trace|bin|txt)$|/regress/|/corpus/' |
		while read -r f; do
			[ -s "$f" ] && ! head -n 5 "$f" | grep -q SPDX-License-Identifier && echo "no SPDX: $f"
		done | grep .
}
python() { git ls-files '*.py' | xargs -r python3 -c 'import sys
for f in sys.argv[1:]: compile(open(f).read(), f, "exec")'; }
shell() { git ls-files '*.sh' scripts/tally .ci/run | while read -r f; do
	if head -n 1 "$f" | grep -q bash; then bash -n "$f"; else sh -n "$f"; fi || exit 1
done; }

abi() { scripts/check-abi.sh; }
docs() { scripts/check-docs.py; }

for c in sparse checkpatch_kernel checkpatch_user abi docs hdrtest purity spdx python shell; do check "$c" "$c"; done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]

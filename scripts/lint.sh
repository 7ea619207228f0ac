#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# Static checks; each is a part of its own. Last line: the sum.
set -u
top=$(cd "$(dirname "$0")/.." && pwd)
cd "$top" || exit 1
src=$(scripts/kernel-source.sh) || exit 1
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
checkpatch() {
	# checkpatch errs on TRACE_EVENT headers, and on X-macros (the last three types).
	git ls-files 'modules/*.[ch]' 'tools/*.[ch]' | grep -v '/trace\.h$' | xargs -r \
		perl "$src/scripts/checkpatch.pl" --root="$src" --no-tree --terse --no-summary --file \
		--ignore "${CHECKPATCH_IGNORE:-FILE_PATH_CHANGES,SPDX_LICENSE_TAG,COMPLEX_MACRO,BRACKET_SPACE,MACRO_ARG_UNUSED}"
}
hdrtest() { scripts/hdrtest.sh; }
purity() { scripts/purity.sh; }
spdx() {
	! git ls-files | grep -vE '^COPYING|README|\.md$|\.rst$|\.gitignore|\.(patch|svg|png|json|seed|trace|bin|txt)$|/regress/|/corpus/' |
		while read -r f; do
			[ -s "$f" ] && ! head -n 5 "$f" | grep -q SPDX-License-Identifier && echo "no SPDX: $f"
		done | grep .
}
python() { git ls-files '*.py' | xargs -r python3 -c 'import sys
for f in sys.argv[1:]: compile(open(f).read(), f, "exec")'; }
shell() { git ls-files '*.sh' scripts/tally .ci/run | while read -r f; do
	if head -n 1 "$f" | grep -q bash; then bash -n "$f"; else sh -n "$f"; fi || exit 1
done; }

for c in sparse checkpatch hdrtest purity spdx python shell; do check "$c" "$c"; done
echo "$passed passed, $failed failed, 0 skipped"
[ "$failed" = 0 ]

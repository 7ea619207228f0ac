#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# DSM beside raw verbs and TCP. make bench ARGS="--quick"
exec python3 "$(dirname "$0")/../tools/dsm-bench/run.py" "$@"

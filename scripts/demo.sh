#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
# The tour. make demo ARGS="--nodes 3"
exec python3 "$(dirname "$0")/../tools/testing/qemu/demo.py" "$@"

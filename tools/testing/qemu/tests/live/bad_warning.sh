#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
echo 1..1
echo "WARNING: CPU: 0 PID: 1 at fs/dsm/example.c:1" >/dev/kmsg
echo "ok 1 says the program, but not the log"

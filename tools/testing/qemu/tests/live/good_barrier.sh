#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
echo 1..2
sleep "$DSM_NODE"
dsm-barrier -t 20 start && echo "ok 1 all came"
! dsm-barrier -n 5 -t 1 too_few 2>/dev/null && echo "ok 2 bounded"

# SPDX-License-Identifier: GPL-2.0
# For the Makefile of a C tool: flags, and where things are. A tool links $(libtools).
top := $(abspath $(dir $(lastword $(MAKEFILE_LIST)))/../..)
OUTPUT ?= $(top)/build/tools
libtools := $(OUTPUT)/lib/libtools.a
CFLAGS := -O2 -g -Wall -Wextra -Werror -std=gnu11 -D_GNU_SOURCE -pthread \
	  -I$(top)/tools/lib -I$(top)/modules/dsm/uapi

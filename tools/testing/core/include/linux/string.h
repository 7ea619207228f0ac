/* SPDX-License-Identifier: GPL-2.0 */
#ifndef DSM_SHIM_LINUX_STRING_H
#define DSM_SHIM_LINUX_STRING_H

#include <string.h>

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's byte order helpers, for the core in user space. */
#ifndef DSM_SHIM_ASM_BYTEORDER_H
#define DSM_SHIM_ASM_BYTEORDER_H

#include <linux/types.h>

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define DSM_SHIM_LE(bits, x)	(x)
#else
#define DSM_SHIM_LE(bits, x)	__builtin_bswap##bits(x)
#endif

static inline __le16 cpu_to_le16(u16 x) { return (__le16)DSM_SHIM_LE(16, x); }
static inline __le32 cpu_to_le32(u32 x) { return (__le32)DSM_SHIM_LE(32, x); }
static inline __le64 cpu_to_le64(u64 x) { return (__le64)DSM_SHIM_LE(64, x); }
static inline u16 le16_to_cpu(__le16 x) { return DSM_SHIM_LE(16, (u16)x); }
static inline u32 le32_to_cpu(__le32 x) { return DSM_SHIM_LE(32, (u32)x); }
static inline u64 le64_to_cpu(__le64 x) { return DSM_SHIM_LE(64, (u64)x); }

#endif

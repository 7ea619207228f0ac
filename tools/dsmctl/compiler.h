/* SPDX-License-Identifier: GPL-2.0 */
/* Names the kernel has for what the compiler can do. */
#ifndef DSMCTL_COMPILER_H
#define DSMCTL_COMPILER_H

#define ARRAY_SIZE(a)		(sizeof(a) / sizeof((a)[0]))
#define __printf(f, a)		__attribute((__format__(printf, f, a)))
#define __noreturn		_Noreturn

#endif

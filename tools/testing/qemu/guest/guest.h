/* SPDX-License-Identifier: GPL-2.0 */
/* What PID 1's parts share: boot (init.c), exec service (agent.c), barrier client (barrier.c). */
#ifndef MEMOS_GUEST_H
#define MEMOS_GUEST_H

#include <stdint.h>

/* Frames on the agent port: this header, little endian, then len bytes. */
struct frame {
	uint32_t len;
	uint32_t id;
	uint32_t type;
};

enum frame_type {
	/* host -> guest */
	FRAME_EXEC = 1,		/* "nr_env\0" env... argv..., each NUL-terminated */
	FRAME_KILL = 2,		/* le32 signal, to the job's process group */
	FRAME_BARRIER_DONE = 3,	/* le32 errno, 0 when all arrived */
	FRAME_KMSG = 4,		/* text for /dev/kmsg */
	/* guest -> host */
	FRAME_HELLO = 16,	/* kernel release */
	FRAME_STDOUT = 17,
	FRAME_STDERR = 18,
	FRAME_EXIT = 19,	/* le32 wait status */
	FRAME_BARRIER = 20,	/* "count timeout_s name" */
};

#define FRAME_MAX (1u << 20)

_Noreturn void agent_main(int port);
int barrier_main(int argc, char **argv);

#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* The payload inside the VMM. */
	.section .rodata
	.globl payload, payload_end
payload:
	.incbin PAYLOAD_BIN
payload_end:
	.byte 0
	.section .note.GNU-stack, "", @progbits

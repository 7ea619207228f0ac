/* SPDX-License-Identifier: GPL-2.0 */
/* The worlds to explore; a name with a + is run only when asked for. */
#ifdef EXHAUST_CONFIGS
{ .name = "3n-access", .nodes = 3, .pages = 1, .ops = 2, .threads = 2 },
{ .name = "3n-evict", .nodes = 3, .pages = 1, .ops = 1, .evicts = 2, .unrevokes = 1 },
{ .name = "3n-hold", .nodes = 3, .pages = 1, .ops = 1, .evicts = 1, .hold = true },
{ .name = "3n-discard", .nodes = 3, .pages = 1, .ops = 2, .discards = 1 },
{ .name = "2n-2p", .nodes = 2, .pages = 2, .ops = 2, .threads = 2, .evicts = 1 },
{ .name = "2n-evict", .nodes = 2, .pages = 1, .ops = 3, .threads = 2, .evicts = 2,
  .unrevokes = 1, .discards = 1, .hold = true },
{ .name = "2n-faults", .nodes = 2, .pages = 1, .ops = 2, .dups = 1, .losses = 1,
  .links = true, .lazy_ack = true, .cold = true },
{ .name = "3n-faults", .nodes = 3, .pages = 1, .ops = 1, .dups = 1, .losses = 1,
  .links = true },
{ .name = "3n-handoff", .nodes = 3, .pages = 1, .ops = 2, .handoffs = 1 },
{ .name = "3n-handoff-evict", .nodes = 3, .pages = 1, .ops = 1, .handoffs = 1,
  .evicts = 1 },
/* Longer: make exhaust CONFIG=+3n-handoff-twice */
{ .name = "+3n-handoff-twice", .nodes = 3, .pages = 1, .ops = 1, .handoffs = 2,
  .evicts = 1 },
{ .name = "+3n-handoff-hold", .nodes = 3, .pages = 1, .ops = 1, .handoffs = 1,
  .evicts = 1, .unrevokes = 1, .discards = 1, .hold = true },
{ .name = "+3n-evict-more", .nodes = 3, .pages = 1, .ops = 2, .evicts = 2 },
{ .name = "+4n-access", .nodes = 4, .pages = 1, .ops = 1 },
#endif

/* SPDX-License-Identifier: GPL-2.0 */
/* An eventfd that is signalled here, one that is signalled for it on another node. */
#ifndef DSM_NOTIFY_H
#define DSM_NOTIFY_H

#include "core/wire.h"

struct dsm_cluster;
struct file;

int dsm_notify_start(struct dsm_cluster *c);
void dsm_notify_stop(struct dsm_cluster *c);

long dsm_notify_open(struct file *file, void __user *arg);

/**
 * dsm_notify_rx() - a notification came: signal who listens, if anyone does
 * @c:	the cluster
 * @n:	what came
 *
 * Context: softirq, or process with BH disabled.
 */
void dsm_notify_rx(struct dsm_cluster *c, const struct dsm_notice *n);

#endif

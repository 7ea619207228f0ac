// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs dsm_pingpong/run takes a line of parameters and returns from write(2)
 * when the run is over; dsm_pingpong/result then has one line of figures.
 * Loaded is listening.
 */
#include "pingpong.h"

#include <linux/debugfs.h>
#include <linux/math64.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define LINE_MAX_BYTES	512

static unsigned short port = PP_PORT;
module_param(port, ushort, 0444);
MODULE_PARM_DESC(port, "port to listen on");

static unsigned int timeout_ms = 10000;
unsigned int pp_timeout_ms = 10000;

static int timeout_set(const char *val, const struct kernel_param *kp)
{
	int err = param_set_uint_minmax(val, kp, 10, 600000);

	if (!err)
		pp_timeout_ms = timeout_ms;
	return err;
}

static const struct kernel_param_ops timeout_ops = {
	.set = timeout_set,
	.get = param_get_uint,
};
module_param_cb(timeout_ms, &timeout_ops, &timeout_ms, 0644);
MODULE_PARM_DESC(timeout_ms, "longest wait for a single answer");

static bool poll_workqueue;
module_param(poll_workqueue, bool, 0644);
MODULE_PARM_DESC(poll_workqueue,
		 "poll completions from a workqueue, not from softirq, unless the run says poll=");

static DEFINE_MUTEX(run_lock);		/* one run at a time; protects what follows */
static char result[LINE_MAX_BYTES] = "none\n";
static struct dentry *dir;

static u64 per_second(u64 n, u64 ns)
{
	return ns ? mul_u64_u64_div_u64(n, NSEC_PER_SEC, ns) : 0;
}

static void result_write(const struct pp_params *par, const struct pp_result *res,
			 int err)
{
	size_t n = pp_params_describe(par, result, sizeof(result));

	if (err) {
		scnprintf(result + n, sizeof(result) - n, " error=%d\n", err);
		return;
	}
	scnprintf(result + n, sizeof(result) - n,
		  " count=%u p50_ns=%llu p90_ns=%llu p99_ns=%llu min_ns=%llu max_ns=%llu elapsed_ns=%llu rate=%llu bytes_s=%llu\n",
		  res->count, res->p50, res->p90, res->p99, res->min, res->max,
		  res->elapsed_ns, per_second(par->count, res->elapsed_ns),
		  per_second(res->bytes, res->elapsed_ns));
}

static ssize_t run_write(struct file *file, const char __user *from, size_t size,
			 loff_t *pos)
{
	struct pp_params par = {
		.poll = poll_workqueue ? PP_POLL_WORKQUEUE : PP_POLL_SOFTIRQ,
	};
	struct pp_result res = {};
	char *line;
	int err;

	if (size >= LINE_MAX_BYTES)
		return -EINVAL;
	line = memdup_user_nul(from, size);
	if (IS_ERR(line))
		return PTR_ERR(line);
	err = pp_params_parse(&par, line);
	kfree(line);
	if (err)
		return err;
	err = mutex_lock_killable(&run_lock);
	if (err)
		return err;
	err = pp_client_run(&par, &res);
	if (err)
		pr_warn("run with %pISpc failed: %d\n", &par.addr, err);
	result_write(&par, &res, err);
	mutex_unlock(&run_lock);
	return err ?: size;
}

static const struct file_operations run_fops = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = run_write,
	.llseek = noop_llseek,
};

static int result_show(struct seq_file *m, void *v)
{
	int err = mutex_lock_killable(&run_lock);

	if (err)
		return err;
	seq_puts(m, result);
	mutex_unlock(&run_lock);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(result);

static int __init pingpong_init(void)
{
	int err = pp_server_init(port);

	if (err) {
		pr_err("cannot listen on port %u: %d\n", port, err);
		return err;
	}
	dir = debugfs_create_dir("dsm_pingpong", NULL);
	debugfs_create_file("run", 0200, dir, NULL, &run_fops);
	debugfs_create_file("result", 0444, dir, NULL, &result_fops);
	return 0;
}

static void __exit pingpong_exit(void)
{
	debugfs_remove(dir);
	pp_server_exit();
}

module_init(pingpong_init);
module_exit(pingpong_exit);
MODULE_DESCRIPTION("Round trips of kernel verbs, the yardstick for DSM faults");
MODULE_LICENSE("GPL");

// SPDX-License-Identifier: GPL-2.0
/* The root file system behind the initramfs: a disk, or the server's own by 9p. */
#include <errno.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "guest.h"

#define V9FS	"trans=virtio,version=9p2000.L,msize=512000,cache=loose"

static void mount_at(const char *type, const char *from, const char *to, unsigned long flags,
		     const char *options)
{
	step("mount %s at %s", type, to);
	must(!mkdir(to, 0755) || errno == EEXIST);
	must(!mount(from, to, type, flags, options));
}

/* Read-only by 9p; what is written is in RAM. */
static void mount_server(void)
{
	mount_at("9p", "server", "/server", MS_RDONLY, V9FS);
	mount_at("tmpfs", "rw", "/rw", 0, "mode=755");
	must(!mkdir("/rw/upper", 0755) && !mkdir("/rw/work", 0755));
	mount_at("overlay", "root", ROOT, 0, "lowerdir=/server,upperdir=/rw/upper,workdir=/rw/work");
}

static void mount_disk_or_server(void)
{
	const char *disk = getenv("GVM_ROOT");

	if (disk)
		mount_at("ext4", disk, ROOT, 0, NULL);
	else
		mount_server();
}

void mount_root(void)
{
	mount_disk_or_server();
	mount_at("proc", "proc", ROOT "/proc", 0, NULL);
	mount_at("sysfs", "sys", ROOT "/sys", 0, NULL);
	mount_at("devtmpfs", "dev", ROOT "/dev", 0, NULL);
	mount_at("tmpfs", "tmp", ROOT "/tmp", 0, "mode=1777");
	mount_at("tmpfs", "shm", ROOT "/dev/shm", 0, "mode=1777");
}

void switch_root(char *init)
{
	mount_disk_or_server();
	must(!umount2("/dev", MNT_DETACH) && !umount2("/sys", MNT_DETACH) &&
	     !umount2("/proc", MNT_DETACH));
	must(!chdir(ROOT) && !mount(".", "/", NULL, MS_MOVE, NULL) && !chroot(".") && !chdir("/"));
	execv(init, (char *[]){ init, NULL });
	fail("%s: %m", init);
}

// SPDX-License-Identifier: GPL-2.0
/* Devices, used from every CPU. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/icmp.h>
#include <linux/if.h>
#include <linux/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest.h"

#define DISK	"/dev/vda"
#define BLOCK	16384

static int disk_open(void)
{
	int i, fd = -1;

	for (i = 0; i < 200 && fd < 0; i++, sleep_us(20000))
		fd = open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (fd < 0)
		fail("%s: %m", DISK);
	return fd;
}

static char *buffer(void)
{
	void *p = NULL;

	must(!posix_memalign(&p, 4096, BLOCK));
	return p;
}

/* What one CPU writes the next one reads. The first block is reboot's. */
static void blk(void)
{
	int fd = disk_open(), n = nr_cpus(), i;
	char *w = buffer(), *r = buffer();

	for (i = 0; i < turns(20) * n; i++) {
		off_t at = (i + 1) * (off_t)BLOCK;

		step("write %d on CPU %d", i, i % n);
		pin(i % n);
		memset(w, 'a' + i % 23, BLOCK);
		must(pwrite(fd, w, BLOCK, at) == BLOCK);
		step("read %d on CPU %d", i, (i + 1) % n);
		pin((i + 1) % n);
		must(pread(fd, r, BLOCK, at) == BLOCK);
		if (memcmp(w, r, BLOCK))
			fail("block %d: what was read is not what was written", i);
	}
}

static void net_up(int s)
{
	struct ifreq ifr = { .ifr_name = "eth0" };
	struct sockaddr_in *sin = (void *)&ifr.ifr_addr;

	sin->sin_family = AF_INET;
	sin->sin_addr.s_addr = inet_addr("10.0.2.15");
	must(!ioctl(s, SIOCSIFADDR, &ifr));
	sin->sin_addr.s_addr = htonl(0xffffff00);
	must(!ioctl(s, SIOCSIFNETMASK, &ifr));
	must(!ioctl(s, SIOCGIFFLAGS, &ifr));
	ifr.ifr_flags |= IFF_UP | IFF_RUNNING;
	must(!ioctl(s, SIOCSIFFLAGS, &ifr));
}

static uint16_t checksum(const uint16_t *p, unsigned int bytes)
{
	uint32_t sum = 0;

	for (; bytes; bytes -= 2)
		sum += *p++;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

static void ping(int s, uint16_t seq)
{
	struct {
		struct icmphdr h;
		char data[1000];
	} p = { .h = { .type = ICMP_ECHO, .un.echo = { .id = htons(77), .sequence = htons(seq) } } };
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr.s_addr = inet_addr("10.0.2.2") };
	uint64_t end = now_us() + 10000000;
	char buf[2048];

	memset(p.data, seq, sizeof(p.data));
	p.h.checksum = checksum((void *)&p, sizeof(p));
	must(sendto(s, &p, sizeof(p), 0, (void *)&to, sizeof(to)) == sizeof(p));
	while (now_us() < end) {
		const struct iphdr *ip = (void *)buf;
		const struct icmphdr *h = (void *)(buf + sizeof(*ip));
		ssize_t n = recv(s, buf, sizeof(buf), 0);

		if (n == (ssize_t)(sizeof(*ip) + sizeof(p)) && ip->ihl == 5 &&
		    h->type == ICMP_ECHOREPLY && h->un.echo.sequence == htons(seq)) {
			if (memcmp(buf + sizeof(*ip) + sizeof(*h), p.data, sizeof(p.data)))
				fail("echo %u has other data", seq);
			return;
		}
	}
	fail("no answer to echo %u in 10 s", seq);
}

/* The gateway of QEMU's user network answers pings. */
static void net(void)
{
	int s = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP), n = nr_cpus(), i;
	struct timeval tv = { .tv_usec = 500000 };

	must(s >= 0);
	net_up(s);
	must(!setsockopt(s, SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	for (i = 0; i < turns(20) * n; i++) {
		step("echo %d on CPU %d", i, i % n);
		pin(i % n);
		ping(s, i);
	}
}

static void rng(void)
{
	int fd = open("/dev/hwrng", O_RDONLY | O_CLOEXEC), n = nr_cpus(), i;
	unsigned char a[64], b[64];

	must(fd >= 0);
	for (i = 0; i < 3 * n; i++) {
		step("read %d on CPU %d", i, i % n);
		pin(i % n);
		must(read(fd, a, sizeof(a)) > 0 && read(fd, b, sizeof(b)) > 0);
		if (!memcmp(a, b, sizeof(a)))
			fail("twice the same");
	}
}

/* Round the firmware, GVM_BOOTS boots in all; the disk says which one this is. */
static void again(void)
{
	const char *boots = getenv("GVM_BOOTS");
	unsigned char *p = (void *)buffer();
	int fd = disk_open();

	must(boots);
	must(pread(fd, p, BLOCK, 0) == BLOCK);
	if (p[0] + 1 < atoi(boots)) {
		say("# boot %d, again", p[0]);
		p[0]++;
		must(pwrite(fd, p, BLOCK, 0) == BLOCK);
		must(!fsync(fd));
		reboot(RB_AUTOBOOT);
		fail("reboot: %m");
	}
	say("# boot %d", p[0]);
}

const struct test dev_tests[] = {
	{ "blk", blk, 180 },
	{ "net", net, 180 },
	{ "rng", rng, 60 },
	{ "reboot", again, 180 },
	{ 0 },
};

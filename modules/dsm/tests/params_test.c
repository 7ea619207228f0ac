// SPDX-License-Identifier: GPL-2.0
/* Module parameters; included by main.c, whose own these functions are. */
#include "tests/test.h"

static int parse(struct kunit *test, const char *text,
		 struct sockaddr_storage *addr)
{
	size_t size = strlen(text) + 1;
	char *list = kunit_kzalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, list);
	memcpy(list, text, size);
	return parse_peers(list, addr);
}

static struct sockaddr_storage *addresses(struct kunit *test)
{
	struct sockaddr_storage *addr;

	addr = kunit_kcalloc(test, DSM_MAX_NODES, sizeof(*addr), GFP_KERNEL);
	KUNIT_ASSERT_NOT_NULL(test, addr);
	return addr;
}

static void peers_ipv4(struct kunit *test)
{
	struct sockaddr_storage *addr = addresses(test);
	struct sockaddr_in *in = (struct sockaddr_in *)addr;

	KUNIT_ASSERT_EQ(test, 1, parse(test, "10.77.0.1", addr));
	KUNIT_EXPECT_EQ(test, AF_INET, in->sin_family);
	KUNIT_EXPECT_EQ(test, 0x0a4d0001, ntohl(in->sin_addr.s_addr));
	KUNIT_ASSERT_EQ(test, 3, parse(test, "0.0.0.1, 255.255.255.254 ,9.8.7.6", addr));
	in = (struct sockaddr_in *)&addr[1];
	KUNIT_EXPECT_EQ(test, 0xfffffffe, ntohl(in->sin_addr.s_addr));
}

static void peers_ipv6(struct kunit *test)
{
	struct sockaddr_storage *addr = addresses(test);
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)addr;

	KUNIT_ASSERT_EQ(test, 2, parse(test, "fd00::77:1,10.0.0.2", addr));
	KUNIT_EXPECT_EQ(test, AF_INET6, in6->sin6_family);
	KUNIT_EXPECT_EQ(test, 0xfd, in6->sin6_addr.s6_addr[0]);
	KUNIT_EXPECT_EQ(test, 0x77, in6->sin6_addr.s6_addr[13]);
	KUNIT_EXPECT_EQ(test, 1, in6->sin6_addr.s6_addr[15]);
	KUNIT_EXPECT_EQ(test, AF_INET, addr[1].ss_family);
}

static void peers_refused(struct kunit *test)
{
	static const char * const bad[] = {
		"", ",", "10.0.0.1,", ",10.0.0.1", "10.0.0.1,,10.0.0.2",
		"10.0.0", "10.0.0.1.2", "10.0.0.256", "-1.0.0.0", "a.b.c.d",
		"10.0.0.1:7", "10.0.0.1/24", "10.0.0.1 10.0.0.2", ":::", "fd00:::1",
		"fd00::1%eth0", "localhost", "10.0.0.1\n10.0.0.2",
		"10.0.0.1,10.0.0.1", "fd00::1,10.0.0.1,fd00:0::1",
	};
	struct sockaddr_storage *addr = addresses(test);

	for (int i = 0; i < ARRAY_SIZE(bad); i++)
		KUNIT_EXPECT_EQ_MSG(test, -EINVAL, parse(test, bad[i], addr),
				    "'%s'", bad[i]);
}

static void peers_many(struct kunit *test)
{
	struct sockaddr_storage *addr = addresses(test);
	char *list = kunit_kzalloc(test, (DSM_MAX_NODES + 1) * 16, GFP_KERNEL);
	int len = 0;

	KUNIT_ASSERT_NOT_NULL(test, list);
	for (int i = 0; i < DSM_MAX_NODES; i++)
		len += sprintf(list + len, "%s10.1.%d.1", i ? "," : "", i);
	KUNIT_EXPECT_EQ(test, DSM_MAX_NODES, parse(test, list, addr));
	sprintf(list + len, ",10.2.0.1");
	KUNIT_EXPECT_EQ(test, -EINVAL, parse(test, list, addr));
}

static void knobs_have_a_range(struct kunit *test)
{
	u32 value = 7;
	struct knob k = { .value = &value, .min = 5, .max = 4000000000u };
	struct kernel_param kp = { .name = "kunit", .arg = &k };

	KUNIT_EXPECT_EQ(test, 0, knob_set("5", &kp));
	KUNIT_EXPECT_EQ(test, 5, value);
	KUNIT_EXPECT_EQ(test, 0, knob_set("4000000000", &kp));
	KUNIT_EXPECT_EQ(test, 4000000000u, value);
	KUNIT_EXPECT_EQ(test, 0, knob_set("0x10\n", &kp));
	KUNIT_EXPECT_EQ(test, 16, value);
	KUNIT_EXPECT_EQ(test, -EINVAL, knob_set("4", &kp));
	KUNIT_EXPECT_EQ(test, -EINVAL, knob_set("4000000001", &kp));
	KUNIT_EXPECT_EQ(test, -EINVAL, knob_set("-1", &kp));
	KUNIT_EXPECT_EQ(test, -EINVAL, knob_set("", &kp));
	KUNIT_EXPECT_EQ(test, -EINVAL, knob_set("9 9", &kp));
	KUNIT_EXPECT_EQ(test, -ERANGE, knob_set("4294967296", &kp));
	KUNIT_EXPECT_EQ_MSG(test, 16, value, "what is refused changes nothing");
}

static void knobs_begin_in_their_range(struct kunit *test)
{
	static const struct knob * const all[] = {
#define X(name, def, min, max, text) &knob_##name,
		DSM_KNOBS(X)
#undef X
	};
	struct dsm_knobs def = {
#define X(name, def, min, max, text) .name = (def),
		DSM_KNOBS(X)
#undef X
	};
	const u32 *value = (const u32 *)&def;

	for (int i = 0; i < ARRAY_SIZE(all); i++, value++) {
		KUNIT_EXPECT_GE(test, *value, all[i]->min);
		KUNIT_EXPECT_LE(test, *value, all[i]->max);
	}
}

static struct kunit_case params_cases[] = {
	KUNIT_CASE(peers_ipv4),
	KUNIT_CASE(peers_ipv6),
	KUNIT_CASE(peers_refused),
	KUNIT_CASE(peers_many),
	KUNIT_CASE(knobs_have_a_range),
	KUNIT_CASE(knobs_begin_in_their_range),
	{}
};

struct kunit_suite dsm_params_suite = {
	.name = "dsm_params",
	.test_cases = params_cases,
};

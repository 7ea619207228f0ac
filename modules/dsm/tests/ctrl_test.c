// SPDX-License-Identifier: GPL-2.0
/* Control messages: to the wire and back, and what is refused. */
#include <linux/fs.h>
#include <linux/slab.h>

#include "ctrl.h"
#include "tests/test.h"

static void *zalloc(struct kunit *test, size_t size)
{
	void *p = kunit_kzalloc(test, size, GFP_KERNEL);

	KUNIT_ASSERT_NOT_NULL(test, p);
	return p;
}

static void fill_set(struct dsm_nodeset *s, u16 node)
{
	dsm_nodeset_clear(s);
	dsm_nodeset_add(s, node);
	dsm_nodeset_add(s, 255);
}

/* ---- the head ---- */

static void head_is_checked(struct kunit *test)
{
	struct dsm_ctrl_reply *w = zalloc(test, sizeof(*w));

	dsm_ctrl_head_init(&w->head, DSM_CTRL_REPLY, sizeof(*w));
	KUNIT_EXPECT_TRUE(test, dsm_ctrl_check(w, sizeof(*w)));
	for (size_t len = 0; len < sizeof(*w); len++)
		KUNIT_EXPECT_FALSE(test, dsm_ctrl_check(w, len));
	w->head.magic ^= cpu_to_le16(1);
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_check(w, sizeof(*w)));
	w->head.magic ^= cpu_to_le16(1);
	w->head.version++;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_check(w, sizeof(*w)));
	w->head.version--;
	w->head.type = DSM_NR_CTRL_TYPES;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_check(w, sizeof(*w)));
	w->head.type = 0xff;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_check(w, sizeof(*w)));
	w->head.type = DSM_CTRL_ZAP;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_check(w, sizeof(*w)));
}

/* ---- the membership ---- */

static void member_round_trip(struct kunit *test)
{
	struct dsm_ctrl_member *w = zalloc(test, 2 * sizeof(*w));
	struct dsm_member_packet *p = zalloc(test, sizeof(*p));
	struct dsm_member_packet *q = zalloc(test, sizeof(*q));

	p->type = DSM_MM_SUSPECT;
	p->state = DSM_MS_LEAVING;
	p->reason = DSM_MR_LOST;
	p->round = 0x01020304;
	p->view.cluster = 0x11121314;
	p->view.number = 0x21222324;
	p->view.epoch = 0x31323334;
	fill_set(&p->view.members, 1);
	fill_set(&p->view.leaving, 64);
	fill_set(&p->view.lost, 128);
	fill_set(&p->linked, 192);
	dsm_ctrl_encode_member(w, p);
	KUNIT_EXPECT_TRUE(test, dsm_ctrl_check(w, sizeof(*w)));
	KUNIT_EXPECT_TRUE(test, dsm_ctrl_decode_member(w, q));
	dsm_ctrl_encode_member(w + 1, q);
	KUNIT_EXPECT_MEMEQ(test, w, w + 1, sizeof(*w));
	KUNIT_EXPECT_TRUE(test, dsm_nodeset_equal(&p->linked, &q->linked));
	KUNIT_EXPECT_EQ(test, p->view.epoch, q->view.epoch);
	w->type = DSM_NR_MEMBER_MSGS;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_member(w, q));
	w->type = 0;
	w->state = DSM_NR_MEMBER_STATES;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_member(w, q));
	w->state = 0;
	w->reason = DSM_NR_MEMBER_REASONS;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_member(w, q));
}

/* ---- changes of the metadata ---- */

static struct dsm_op *some_op(struct kunit *test)
{
	struct dsm_op *op = zalloc(test, sizeof(*op));

	op->type = DSM_OP_RENAME;
	op->policy = DSM_POLICY_NODE;
	op->origin = 254;
	op->node = 7;
	op->flags = DSM_OF_NOREPLACE | DSM_OF_CTIME;
	op->file = 0x01020304;
	op->op_id = 0x11121314;
	op->seq = 0x21222324;
	op->mode = 0100644;
	op->uid = 1000;
	op->gid = U32_MAX;
	op->start = S64_MAX;
	op->nr = 0x3132333435363738;
	op->unit = 0x4142434445464748;
	op->value = U64_MAX;
	op->mtime_ns = S64_MIN;
	op->ctime_ns = S64_MAX;
	fill_set(&op->members, 66);
	strscpy(op->name, "from");
	strscpy(op->name2, "to");
	return op;
}

static void op_round_trip(struct kunit *test)
{
	struct dsm_ctrl_op *w = zalloc(test, DSM_CTRL_OP_MAX);
	struct dsm_ctrl_op *w2 = zalloc(test, DSM_CTRL_OP_MAX);
	struct dsm_op *op = some_op(test), *got = zalloc(test, sizeof(*got));
	static const int lens[] = { 0, 1, 2, 254, 255 };

	for (int i = 0; i < ARRAY_SIZE(lens); i++) {
		size_t len;

		memset(op->name, 'n', lens[i]);
		op->name[lens[i]] = 0;
		memset(op->name2, 'm', lens[ARRAY_SIZE(lens) - 1 - i]);
		op->name2[lens[ARRAY_SIZE(lens) - 1 - i]] = 0;
		len = dsm_ctrl_encode_op(w, DSM_CTRL_APPLY, op);
		KUNIT_ASSERT_LE(test, len, DSM_CTRL_OP_MAX);
		KUNIT_EXPECT_TRUE(test, dsm_ctrl_check(w, len));
		KUNIT_EXPECT_FALSE(test, dsm_ctrl_check(w, len - 1));
		KUNIT_EXPECT_TRUE(test, dsm_ctrl_decode_op(w, got));
		KUNIT_EXPECT_STREQ(test, op->name, got->name);
		KUNIT_EXPECT_STREQ(test, op->name2, got->name2);
		KUNIT_EXPECT_EQ(test, len, dsm_ctrl_encode_op(w2, DSM_CTRL_APPLY, got));
		KUNIT_EXPECT_MEMEQ(test, w, w2, len);
	}
}

static void op_names_are_checked(struct kunit *test)
{
	static const char * const bad[] = { "/", "a/b", ".", "..", "a/" };
	struct dsm_ctrl_op *w = zalloc(test, DSM_CTRL_OP_MAX);
	struct dsm_op *op = some_op(test), *got = zalloc(test, sizeof(*got));

	for (int i = 0; i < ARRAY_SIZE(bad); i++) {
		strscpy(op->name2, bad[i]);
		dsm_ctrl_encode_op(w, DSM_CTRL_OP, op);
		KUNIT_EXPECT_FALSE_MSG(test, dsm_ctrl_decode_op(w, got), "'%s'",
				       bad[i]);
	}
	strscpy(op->name2, "good");
	dsm_ctrl_encode_op(w, DSM_CTRL_OP, op);
	KUNIT_EXPECT_TRUE(test, dsm_ctrl_decode_op(w, got));
	w->names[1] = 0;
	KUNIT_EXPECT_FALSE_MSG(test, dsm_ctrl_decode_op(w, got), "a zero in a name");
}

static void op_fields_are_checked(struct kunit *test)
{
	struct dsm_ctrl_op *w = zalloc(test, DSM_CTRL_OP_MAX);
	struct dsm_op *op = some_op(test), *got = zalloc(test, sizeof(*got));

	dsm_ctrl_encode_op(w, DSM_CTRL_OP, op);
	w->type = DSM_NR_OPS;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_op(w, got));
	dsm_ctrl_encode_op(w, DSM_CTRL_OP, op);
	w->flags = cpu_to_le32(DSM_OF_ALL + 1);
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_op(w, got));
	dsm_ctrl_encode_op(w, DSM_CTRL_OP, op);
	w->origin = cpu_to_le16(DSM_MAX_NODES);
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_op(w, got));
	dsm_ctrl_encode_op(w, DSM_CTRL_OP, op);
	w->start = cpu_to_le64(1ULL << 63);
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_op(w, got));
	dsm_ctrl_encode_op(w, DSM_CTRL_OP, op);
	w->nr = cpu_to_le64(U64_MAX);
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_op(w, got));
}

/* ---- files ---- */

/* A file whose region has as many ranges as there can be. */
static struct dsm_file *some_file(struct kunit *test, struct dsm_place *pl)
{
	struct dsm_cluster *c = dsm_test_cluster(test, 0, 8, &dsm_loop_ops);
	struct dsm_file *f = zalloc(test, sizeof(*f));

	f->id = 77;
	f->mode = S_IFREG | 0640;
	f->uid = 1;
	f->gid = U32_MAX;
	f->nlink = 1;
	f->size = S64_MAX;
	f->mtime_ns = -5;
	f->ctime_ns = 0x0102030405060708;
	fill_set(&f->users, 3);
	strscpy(f->name, "file");
	f->region = dsm_test_region(test, c, 77, 2);
	dsm_region_get_place(f->region, pl);
	for (u16 i = 0; pl->nr_ranges < DSM_PLACE_MAX_RANGES; i++)
		KUNIT_ASSERT_EQ(test, DSM_V_OK,
				dsm_place_set(pl, i * 10, 10, i % DSM_NR_POLICIES,
					      i + 1, i % 8));
	dsm_region_set_place(f->region, pl);
	return f;
}

static void file_round_trip(struct kunit *test)
{
	struct dsm_place *pl = zalloc(test, sizeof(*pl));
	struct dsm_place *got_pl = zalloc(test, sizeof(*got_pl));
	struct dsm_ctrl_file *w = zalloc(test, DSM_CTRL_FILE_MAX);
	struct dsm_file *f = some_file(test, pl), *got = zalloc(test, sizeof(*got));
	size_t len = dsm_ctrl_encode_file(w, f);

	KUNIT_EXPECT_TRUE(test, dsm_ctrl_check(w, len));
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_check(w, len - 1));
	KUNIT_ASSERT_TRUE(test, dsm_ctrl_decode_file(w, 8, got, got_pl));
	KUNIT_EXPECT_EQ(test, f->id, got->id);
	KUNIT_EXPECT_EQ(test, f->mode, got->mode);
	KUNIT_EXPECT_EQ(test, f->uid, got->uid);
	KUNIT_EXPECT_EQ(test, f->gid, got->gid);
	KUNIT_EXPECT_EQ(test, f->nlink, got->nlink);
	KUNIT_EXPECT_EQ(test, f->size, got->size);
	KUNIT_EXPECT_EQ(test, f->mtime_ns, got->mtime_ns);
	KUNIT_EXPECT_EQ(test, f->ctime_ns, got->ctime_ns);
	KUNIT_EXPECT_TRUE(test, dsm_nodeset_equal(&f->users, &got->users));
	KUNIT_EXPECT_STREQ(test, f->name, got->name);
	KUNIT_EXPECT_EQ(test, DSM_PLACE_MAX_RANGES, got_pl->nr_ranges);
	for (u64 page = 0; page < 200; page++)
		KUNIT_EXPECT_EQ(test, dsm_place_home(pl, page),
				dsm_place_home(got_pl, page));
}

static void file_is_checked(struct kunit *test)
{
	struct dsm_place *pl = zalloc(test, sizeof(*pl));
	struct dsm_ctrl_file *w = zalloc(test, DSM_CTRL_FILE_MAX);
	struct dsm_file *f = some_file(test, pl), *got = zalloc(test, sizeof(*got));

	dsm_ctrl_encode_file(w, f);
	KUNIT_EXPECT_FALSE_MSG(test, dsm_ctrl_decode_file(w, 7, got, pl),
			       "a home that is no node");
	w->nlink = 0;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_file(w, 8, got, pl));
	dsm_ctrl_encode_file(w, f);
	w->nr_ranges = cpu_to_le16(DSM_PLACE_MAX_RANGES + 1);
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_file(w, 8, got, pl));
	dsm_ctrl_encode_file(w, f);
	w->nr_slots = cpu_to_le16(DSM_MAX_NODES + 1);
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_file(w, 8, got, pl));
	dsm_ctrl_encode_file(w, f);
	w->id = 0;
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_file(w, 8, got, pl));
	dsm_ctrl_encode_file(w, f);
	w->mode = cpu_to_le32(S_IFDIR | 0755);
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_file(w, 8, got, pl));
	dsm_ctrl_encode_file(w, f);
	w->size = cpu_to_le64(1ULL << 63);
	KUNIT_EXPECT_FALSE(test, dsm_ctrl_decode_file(w, 8, got, pl));
}

static struct kunit_case ctrl_cases[] = {
	KUNIT_CASE(head_is_checked),
	KUNIT_CASE(member_round_trip),
	KUNIT_CASE(op_round_trip),
	KUNIT_CASE(op_names_are_checked),
	KUNIT_CASE(op_fields_are_checked),
	KUNIT_CASE(file_round_trip),
	KUNIT_CASE(file_is_checked),
	{}
};

struct kunit_suite dsm_ctrl_suite = {
	.name = "dsm_ctrl",
	.test_cases = ctrl_cases,
};

// SPDX-License-Identifier: GPL-2.0
/* The steps of a move, and what may be moved. */
#include <errno.h>
#include <string.h>

#include "move.h"

#define X2APIC_MODE	0xc00ull
#define APIC_ISR	0x100
#define APIC_LVTT	0x320
#define APIC_TMICT	0x380
#define APIC_TMCCT	0x390
#define LVTT_MODE(lvtt)	((lvtt) >> 17 & 3)

uint32_t gvm_state_reg(const struct kvm_lapic_state *lapic, unsigned int at)
{
	uint32_t v;

	memcpy(&v, lapic->regs + at, sizeof(v));
	return v;
}

bool gvm_state_any(const struct kvm_lapic_state *lapic, unsigned int first)
{
	uint32_t sum = 0;

	for (unsigned int i = 0; i < 8; i++)
		sum |= gvm_state_reg(lapic, first + i * 16);
	return sum;
}

const char *gvm_state_busy(const struct gvm_state *s)
{
	if (s->mp_state != KVM_MP_STATE_RUNNABLE && s->mp_state != KVM_MP_STATE_HALTED)
		return "the guest has not started it";
	if ((s->sregs.apic_base & X2APIC_MODE) != X2APIC_MODE)
		return "the guest has not turned its x2APIC on";
	if (s->events.smi.smm || s->events.smi.pending || s->events.smi.latched_init)
		return "it is in system management mode";
	if (s->events.interrupt.shadow || s->events.nmi.pending)
		return "it is about to take an interrupt";
	if (gvm_state_any(&s->lapic, APIC_ISR))
		return "it handles interrupts all the time";
	return NULL;
}

bool gvm_state_ok(const struct gvm_state *s)
{
	return s->nr_msrs <= GVM_STATE_MSRS && !gvm_state_busy(s);
}

bool gvm_state_ran_out(const struct kvm_lapic_state *lapic)
{
	return !LVTT_MODE(gvm_state_reg(lapic, APIC_LVTT)) && gvm_state_reg(lapic, APIC_TMICT) &&
	       !gvm_state_reg(lapic, APIC_TMCCT);
}

void gvm_state_fire_again(struct kvm_lapic_state *lapic)
{
	uint32_t left = 1;

	memcpy(lapic->regs + APIC_TMCCT, &left, sizeof(left));
}

uint32_t gvm_state_timer(const struct kvm_lapic_state *lapic)
{
	uint32_t initial = gvm_state_reg(lapic, APIC_TMICT);

	switch (LVTT_MODE(gvm_state_reg(lapic, APIC_LVTT))) {
	case 0:
		return initial ? gvm_state_reg(lapic, APIC_TMCCT) : 0;
	case 1:
		return initial;
	default:
		return 0;
	}
}

int gvm_move_begin(struct gvm_move *m, unsigned int owner, unsigned int to,
		   unsigned int nr_members)
{
	if (m->step != GVM_MOVE_NONE)
		return -EBUSY;
	if (to >= nr_members || owner >= nr_members)
		return -EINVAL;
	if (to == owner)
		return -EALREADY;
	*m = (struct gvm_move) {
		.step = GVM_MOVE_COMPLETE,
		.from = owner,
		.to = to,
		.nr_members = nr_members,
		.owner = owner,
	};
	return 0;
}

unsigned int gvm_move_where(const struct gvm_move *m)
{
	switch (m->step) {
	case GVM_MOVE_NONE:
	case GVM_MOVE_RESUME:
		return m->owner;
	case GVM_MOVE_COMPLETE:
	case GVM_MOVE_SAVE:
	case GVM_MOVE_LEAVE:
		return m->from;
	case GVM_MOVE_LOAD:
		return m->to;
	case GVM_MOVE_TELL:
		break;
	}
	return m->told;
}

static bool give_up(struct gvm_move *m, int error)
{
	m->step = GVM_MOVE_NONE;
	m->error = error;
	return false;
}

/* The next member from @told on that is neither of the two. */
static void tell(struct gvm_move *m)
{
	while (m->told < m->nr_members && (m->told == m->from || m->told == m->to))
		m->told++;
	m->step = m->told < m->nr_members ? GVM_MOVE_TELL : GVM_MOVE_RESUME;
}

/* Of SAVE and LOAD: all is as it was, unless it is done. */
static bool reversible(struct gvm_move *m, int result, enum gvm_move_step next)
{
	if (result && result != -EAGAIN)
		return give_up(m, result);
	m->step = result ? GVM_MOVE_COMPLETE : next;
	return !result;
}

bool gvm_move_done(struct gvm_move *m, int result)
{
	switch (m->step) {
	case GVM_MOVE_COMPLETE:
		if (result == -EINTR)
			m->step = GVM_MOVE_SAVE;
		return result == -EINTR;
	case GVM_MOVE_SAVE:
		return reversible(m, result, GVM_MOVE_LOAD);
	case GVM_MOVE_LOAD:
		if (!result)
			m->owner = m->to;
		return reversible(m, result, GVM_MOVE_LEAVE);
	case GVM_MOVE_LEAVE:
	case GVM_MOVE_TELL:
		m->broken = result != 0;
		if (m->broken)
			return give_up(m, result);
		m->told += m->step == GVM_MOVE_TELL;
		tell(m);
		return m->step == GVM_MOVE_TELL;
	case GVM_MOVE_RESUME:
		m->step = GVM_MOVE_NONE;
		break;
	case GVM_MOVE_NONE:
		break;
	}
	return false;
}

bool gvm_move_cancel(struct gvm_move *m, int error)
{
	if (m->step != GVM_MOVE_COMPLETE)
		return false;
	give_up(m, error);
	return true;
}

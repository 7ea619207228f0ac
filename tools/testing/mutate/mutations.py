# SPDX-License-Identifier: GPL-2.0
"""Deliberate faults: name, file of the core, what is there, what replaces it.

The text must be there exactly once: a mutation that no longer applies fails.
"""

MUTATIONS = [
    ("drop-an-ack", "page.c",
     "\tif (!last)\n\t\treturn DSM_V_OK;\n",
     "\tif (!last) {\n\t\tp->acks_got -= p->acks_got == 1;\n\t\treturn DSM_V_OK;\n\t}\n"),
    ("skip-an-invalidation", "dir.c",
     "\tif (!dsm_nodeset_empty(others))\n\t\tdsm_emit_multicast(c, others, &inv);\n",
     "\tif (data)\n\t\treturn;\n\tif (!dsm_nodeset_empty(others))\n"
     "\t\tdsm_emit_multicast(c, others, &inv);\n"),
    ("invalidate-too-few", "dir.c",
     "\tinv.nr_acks = nr;\n",
     "\tinv.nr_acks = nr;\n\tif (nr > 1 && !data) {\n\t\tinv.nr_acks--;\n"
     "\t\tdsm_nodeset_del(others, dsm_nodeset_next(others, 0));\n\t}\n"),
    ("grant-before-last-ack", "page.c",
     "bool last = p->acks_got + 1 >= m->nr_acks;",
     "bool last = p->acks_got + 2 >= m->nr_acks;"),
    ("forget-a-queued-request", "dir.c",
     "\tb->head = (b->head + 1) % b->cap;\n\t\tb->len--;\n",
     "\tb->head = (b->head + 1) % b->cap;\n\t\tb->len--;\n\t\tif (b->len)\n"
     "\t\t\tb->len--;\n"),
    ("stale-epoch-accepted", "step.c",
     "\tif (m->epoch != ev->epoch)\n",
     "\tif ((s32)(m->epoch - ev->epoch) > 0)\n"),
    ("wrong-generation-accepted", "step.c",
     "\tif (m->gen != ev->gen)\n",
     "\tif ((s32)(m->gen - ev->gen) > 0)\n"),
    ("done-not-awaited", "dir.c",
     "\tbegin(c, m, DSM_DS_BR);\n\tfwd = demand(c, m, DSM_MSG_FWDS, own ? DSM_MF_FIN : DSM_MF_DONE);\n"
     "\tdsm_emit_msg(c, holder, &fwd, false);\n",
     "\tbegin(c, m, DSM_DS_BR);\n\tfwd = demand(c, m, DSM_MSG_FWDS, own ? DSM_MF_FIN : DSM_MF_DONE);\n"
     "\tdsm_emit_msg(c, holder, &fwd, false);\n\tif (!own && c->d->base == DSM_DS_S) {\n"
     "\t\tdsm_nodeset_add(&c->d->set, m->requester);\n\t\tc->d->state = DSM_DS_S;\n\t}\n"),
    ("hold-never-ends", "page.c",
     "\tif (c->ev->now_us < c->p->held_until)\n\t\tdsm_emit(c, DSM_A_TIMER)->at_us = c->p->held_until;\n",
     "\tif (c->ev->now_us < c->p->held_until)\n\t\treturn;\n"),
    ("downgrade-keeps-write-right", "page.c",
     "\tset_state(c, DSM_PS_S);\n\treply(c, true);\n\twake(c);\n",
     "\tset_state(c, DSM_PS_E);\n\treply(c, true);\n\twake(c);\n"),
    ("downgrade-before-revoked", "page.c",
     "revoke(c, DSM_PS_E_DOWN, DSM_RIGHT_READ, true)",
     "revoke(c, DSM_PS_E_DOWN, DSM_RIGHT_WRITE, true)"),
    ("upgrade-loses-data", "dir.c",
     "\tbool data = !zero && !dsm_nodeset_has(&c->d->set, m->requester);\n",
     "\tbool data = !zero && dsm_nodeset_weight(&c->d->set) < 2 &&\n"
     "\t\t    !dsm_nodeset_has(&c->d->set, m->requester);\n"),
    ("refused-push-accepted", "dir.c",
     "\tbool refused = m->flags & DSM_MF_REFUSED;\n",
     "\tbool refused = false;\n"),
    ("last-copy-dropped-on-put", "dir.c",
     "if (d->state == DSM_DS_S && dsm_nodeset_weight(&d->set) == 1) {",
     "if (d->state == DSM_DS_S && dsm_nodeset_weight(&d->set) == 0) {"),
    ("sharer-not-recorded", "dir.c",
     "\t\tholds(d, DSM_DS_S, d->owner);\n\tdsm_nodeset_add(&d->set, m->requester);\n",
     "\t\tholds(d, DSM_DS_S, d->owner);\n\telse\n\t\tdsm_nodeset_add(&d->set, m->requester);\n"),
    ("owner-not-recorded", "dir.c",
     "\tholds(d, DSM_DS_E, m->requester);\n\tfinish(c);\n",
     "\tif (d->base == DSM_DS_E)\n\t\tholds(d, DSM_DS_E, d->owner);\n\telse\n"
     "\t\tholds(d, DSM_DS_E, m->requester);\n\tfinish(c);\n"),
    ("link-duplicate-delivered", "link.c",
     "\tif ((s32)(seq - l->rx_next) < 0)\n\t\treturn DSM_LR_DROP;\n",
     "\tif ((s32)(seq - l->rx_next) < 0)\n\t\treturn DSM_LR_DELIVER;\n"),
    ("retransmission-forgotten", "link.c",
     "\tl->tx_una = rx_next;\n", "\tl->tx_una = l->tx_next;\n"),
    ("ack-acknowledges-too-much", "link.c",
     "\tl->rx_acked = l->rx_next;\n\treturn l->rx_next;\n",
     "\tl->rx_acked = l->rx_next;\n\treturn l->rx_next + 1;\n"),
    ("half-heard-hello-resets", "link.c",
     "\t\tknows_us = true;\n", "\t\tknows_us = false;\n"),
    ("move-loses-sharers", "dir.c",
     "\td->set = *set;\n",
     "\td->set = *set;\n\tif (dsm_nodeset_weight(set) > 1)\n"
     "\t\tdsm_nodeset_del(&d->set, dsm_nodeset_next(set, 0));\n"),
    ("forward-drops-request", "dir.c",
     "\tf.home = c->d->successor;\n\tdsm_emit_msg(c, f.home, &f, false);\n\treturn DSM_V_OK;\n}\n\n/*",
     "\tf.home = c->d->successor;\n\tif (f.type != DSM_MSG_GETX)\n"
     "\t\tdsm_emit_msg(c, f.home, &f, false);\n\treturn DSM_V_OK;\n}\n\n/*"),
    ("fin-without-done", "page.c",
     "\tif (d.flags & DSM_MF_FIN) {\n", "\tif (d.flags & DSM_MF_FIN && keep) {\n"),
    ("early-demand-not-put-off", "page.c",
     "p->demand.flags & DSM_MF_WRITE;", "p->demand.flags & 0;"),
    ("parked-copy-dropped-early", "page.c",
     "\tp->parked = p->state == DSM_PS_PE ? DSM_PS_E : DSM_PS_S;\n",
     "\tp->parked = p->state == DSM_PS_PE ? DSM_PS_E : DSM_PS_S;\n"
     "\tdsm_emit(c, DSM_A_DROP);\n"),
    ("no-wake-after-eviction", "page.c",
     "\tdsm_emit(c, DSM_A_DROP);\n\tset_state(c, DSM_PS_I);\n\twake(c);\n\treturn DSM_V_OK;\n}\n\nstatic u8 forgotten",
     "\tdsm_emit(c, DSM_A_DROP);\n\tset_state(c, DSM_PS_I);\n\treturn DSM_V_OK;\n}\n\nstatic u8 forgotten"),
    ("discard-of-a-shared-page", "page.c",
     "\td->state = DSM_DS_Z;\n\td->owner = DSM_NODE_NONE;\n\twake(c);\n",
     "\td->state = DSM_DS_E;\n\td->owner = c->ev->self;\n\twake(c);\n"),
    ("late-grant-accepted", "page.c",
     "\tif (m->tid != p->tid)\n\t\treturn DSM_V_LATE;\n\tif (m->type == DSM_MSG_GRANT",
     "\tif (m->type == DSM_MSG_GRANT"),
    ("late-done-accepted", "dir.c",
     "\tif (!same(m, d->busy->requester, d->busy->tid))\n\t\treturn DSM_V_LATE;\n"
     "\tholds(d, DSM_DS_E, m->requester);\n",
     "\tholds(d, DSM_DS_E, m->requester);\n"),
]

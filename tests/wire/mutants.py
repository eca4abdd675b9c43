#!/usr/bin/env python3
"""Do the packet scripts see? Each mutant is the stack with one rule broken; the scripts must catch every one.

    mutants.py --cc "COMPILER FLAGS" --link "LINKER FLAGS" --libs "LIBRARIES" --objects "OBJECTS" --link-objects "OBJECTS" [NAME...]

`make wire-mutants` calls it (MUTANT=paws for some). A mutant is a text of one file of the stack and what stands there
instead; the file is compiled (of a header: the files of its folder that see it) and linked before the archive that holds the true
one. A text that is not there exactly once fails: the table follows the code. Caught means: a script fails, or a check of
the stack itself stops it; a mutant that no script notices fails with its name, and so does one that does not compile.
"""
import argparse
import concurrent.futures
import glob
import os
import signal
import subprocess
import sys

CPU_SECONDS = 20  # a script that does not end; all of them take less than one
FOLDER = "build/mutants"

# name, file below dataplane/, what stands there, what stands there in the mutant
MUTANTS = [
    # Input (RFC 9293, 3.10.7; RFC 5961)
    ("paws_ignored", "tcp/input.c", "	if (seq_ge(g->tsval, c->ts_recent) ||", "	if (true || seq_ge(g->tsval, c->ts_recent) ||"),
    ("paws_never_ages", "tcp/input.c", "(uint16_t)(t->age - c->ts_recent_age) > PAWS_AGE_MAX", "false"),
    ("timestamp_not_required", "tcp/input.c", "	if (!g->ts) {\n		drop(t, DROP_tcp_no_timestamp);\n		return false;", "	if (!g->ts) {\n		return true;"),
    ("timestamp_of_the_future", "tcp/input.c", "g->ts && seq_le(g->seq, c->ack_sent)", "g->ts"),
    ("window_edge_closed", "tcp/input.c", "	if (seq_gt(g->seq, c->rcv_adv))", "	if (seq_ge(g->seq, c->rcv_adv))"),
    ("beyond_window_taken", "tcp/input.c", "	if (seq_gt(g->seq, c->rcv_adv))\n		return false;", ""),
    ("old_segment_unanswered", "tcp/input.c", "DROP_tcp_duplicate : DROP_tcp_sequence);\n	reply_where(c, g);", "DROP_tcp_duplicate : DROP_tcp_sequence);"),
    ("reset_in_window_obeyed", "tcp/input.c", "	if (g->seq == c->rcv_nxt) {", "	if (seq_ge(g->seq, c->rcv_nxt) && seq_lt(g->seq, c->rcv_adv)) {"),
    ("reset_ignored", "tcp/input.c", "	if (g->seq == c->rcv_nxt) {\n		tcp_count(t, C_tcp_resets_received);", "	if (false) {"),
    ("reset_unchallenged", "tcp/input.c", "	if (seq_gt(g->seq, c->rcv_nxt) && seq_lt(g->seq, c->rcv_adv))\n		reply_challenge(c);", ""),
    ("syn_unchallenged", "tcp/input.c", "	drop(t, DROP_tcp_state);\n	reply_challenge(c);", "	drop(t, DROP_tcp_state);"),
    ("syn_again_unanswered", "tcp/input.c", "the peer does not ask any more */\n	reply_where(c, g);", "the peer does not ask any more */"),
    ("any_syn_ends_ecn", "tcp/input.c", "	if (g->seq + 1 != c->rcv_nxt) {\n		second_syn(t, c, g);", "	if (!ecn_asks(g))\n		conn_clear(c, CONN_ECN);\n	if (g->seq + 1 != c->rcv_nxt) {\n		second_syn(t, c, g);"),
    ("wrong_syn_ack_taken", "tcp/input.c", "	if (acks_our_syn(c, g)) {\n		open_answered(c, g);", "	if (true) {\n		open_answered(c, g);"),
    ("refusal_without_ack_obeyed", "tcp/input.c", "	if (!acks_our_syn(c, g)) {\n		drop(t, DROP_tcp_ack);\n		return;\n	}", ""),
    ("stray_unanswered", "tcp/input.c", "	drop(t, DROP_tcp_no_conn);\n	reply_reset(t, g);", "	drop(t, DROP_tcp_no_conn);"),
    ("bare_segment_taken", "tcp/input.c", "[EVENT_BARE] = bare,                          \\", "[EVENT_BARE] = stream,                          \\"),
    ("options_unchecked", "tcp/segment.c", "if (end - at < 2 || at[1] < 2 || at[1] > end - at || !option(g, at, at[1]))\n			return false;",
     "if (end - at < 2 || at[1] < 2 || at[1] > end - at)\n			return true;\n		option(g, at, at[1]);"),
    ("scale_unbounded", "tcp/segment.c", "g->wscale = at[2] < WSCALE_MAX ? at[2] : WSCALE_MAX;", "g->wscale = at[2] & 7;"),
    # Answers
    ("reset_without_ack", "tcp/reply.c", "		r.flags |= SEGMENT_ACK;", ""),
    ("reset_sequence", "tcp/reply.c", "		r.seq = g->ack;", "		r.seq = 0;"),
    ("reset_acks_too_little", "tcp/reply.c", "r.ack = g->seq + segment_span(g);", "r.ack = g->seq + g->len;"),
    ("challenges_unlimited", "tcp/reply.c", "	if (t->now_ms - *last_ms < CHALLENGE_MS)\n		return false;", ""),
    ("challenges_without_budget", "tcp/reply.c", "	if (!quiet_for(t, last_ms) || !budget(t, &t->challenges, CHALLENGES_PER_S))", "	if (!quiet_for(t, last_ms))"),
    ("resets_without_budget", "tcp/reply.c", "	if (!budget(t, &t->resets, LIMIT_tcp_resets_per_s)) {", "	if (false) {"),
    ("budget_is_known", "tcp/reply.c", "per_s + rng_below(&t->shard->rng, per_s)", "per_s"),
    ("budget_for_ever", "tcp/reply.c", "	if (second != b->second) {", "	if (b->second == 0) {"),
    # Initial sequence numbers and timestamps (RFC 6528; RFC 7323, 7.1)
    ("isn_without_secret", "tcp/isn.c", "(uint32_t)(s->now_ns >> CLOCK_SHIFT) + k", "(uint32_t)(s->now_ns >> CLOCK_SHIFT)"),
    ("isn_without_clock", "tcp/isn.c", "(uint32_t)(s->now_ns >> CLOCK_SHIFT) + k", "k"),
    ("timestamps_of_one_clock", "tcp/isn.c", "	return (uint32_t)keyed(s, t, 1);", "	return 0 * (uint32_t)keyed(s, t, 1);"),
    # ACK field
    ("ack_of_the_future_taken", "tcp/input.c", "	if (seq_gt(g->ack, c->snd_max) || ", "	if (seq_gt(g->ack, c->snd_max))\n		g->ack = c->snd_una;\n	if ("),
    ("ancient_ack_taken", "tcp/input.c", " || seq_lt(g->ack, c->snd_una - conn_window_max(c))", ""),
    ("refused_ack_counts", "tcp/input.c", "	if (seq_gt(g->ack, c->snd_max) || ", "	heard(c, g);\n	if (seq_gt(g->ack, c->snd_max) || "),
    ("syn_ack_window_scaled", "tcp/open.c", "	established(c, g, g->wnd);", "	established(c, g, segment_window(c, g));"),
    ("crossed_window_scaled", "tcp/input.c", "	syn_acked(c, g, g->wnd);", "	syn_acked(c, g, segment_window(c, g));"),
    ("old_window_taken", "tcp/ack.c", "	if (!advanced && !seq_gt(g->seq, c->snd_wl1) && !(g->seq == c->snd_wl1 && (wnd > before || wnd == 0)))\n		return;", ""),
    ("fin_ack_ignored", "tcp/ack.c", "	return !fin || fin_acked(c);", "	return true;"),
    # Receiving
    ("no_delayed_ack", "tcp/timing.h", "DELACK_MS = 40,", "DELACK_MS = 1,"),
    ("full_segments_only_grow", "tcp/receive.c", "	if (longer || shorter)", "	if (longer)"),
    ("short_segments_are_full", "tcp/receive.c", " && !(g->flags & SEGMENT_PSH);", ";"),
    ("ack_delayed_too_long", "tcp/timing.h", "DELACK_MS = 40,", "DELACK_MS = 600,"),
    # Retransmission (RFC 6298)
    ("no_backoff", "tcp/timing.h", "RTO_MAX_MS = 60000,", "RTO_MAX_MS = 1000,"),
    ("three_dupacks_is_two", "tcp/timing.h", "DUPACKS = 3,", "DUPACKS = 2,"),
    ("window_of_four", "tcp/timing.h", "INITIAL_SEGMENTS = 10,", "INITIAL_SEGMENTS = 4,"),
    ("ack_behind_a_probe_refused", "tcp/input.c", "	if (behind_a_probe(c, g))", "	if (false && behind_a_probe(c, g))"),
    ("hole_for_full_segments_only", "tcp/mtu.c", " || sent > floor;", " || sent >= c->mss;"),
    ("hole_at_once", "tcp/mtu.c", "	if (!suspected) {", "	if (!suspected && bytes == 0) {"),
    ("hole_never_cleared", "tcp/mtu.c", "		if (full_one_passed(c, bytes))", "		if (full_one_passed(c, bytes) && bytes == 0)"),
    ("hole_though_full_one_passed", "tcp/mtu.c", "c->flags & CONN_NO_HOLE || bytes > c->mss", "c->flags & CONN_NO_HOLE"),
    ("dsack_not_awaited", "tcp/undo.c", "	return b->undo && b->undo_sent && b->undo_left > 0;", "	return b->undo && b->undo_sent && b->undo_left > 1000;"),
    ("dsack_awaited_for_ever", "tcp/recovery.c", "	if (c->board && !c->sent_last)\n		scoreboard_free(c);", "	;"),
    ("user_timeout_overrun", "tcp/rtt.c", "		rto = last_ms(c, rto);", "		;"),
    ("never_gives_up", "tcp/timing.h", "USER_TIMEOUT_MS = 120000,", "USER_TIMEOUT_MS = 1000000,"),
    ("mss_of_ethernet", "tcp/build.c", "mtu = ip_mtu_here(t->ip, path, tuple), ", "mtu = 1500 + 0 * ip_mtu_here(t->ip, path, tuple), "),
    ("default_mss", "tcp/timing.h", "MSS_DEFAULT_V4 = 536,", "MSS_DEFAULT_V4 = 1460,"),
    # Congestion: ECN (RFC 3168), CUBIC (RFC 9438), HyStart++ (RFC 9406), pacing
    ("ece_ignored", "tcp/ecn.c", "	receiver(c, g);\n	sender(c, g);", "	receiver(c, g);"),
    ("ce_not_echoed", "tcp/ecn.c", "	receiver(c, g);\n	sender(c, g);", "	sender(c, g);"),
    ("cwr_lost", "tcp/ecn.h", "SEGMENT_CWR;\n		conn_clear(c, CONN_CWR);", "0;\n		conn_clear(c, CONN_CWR);"),
    ("cwr_for_ever", "tcp/ecn.h", "		conn_clear(c, CONN_CWR);", ""),
    ("cwr_not_heard", "tcp/ecn.c", "		conn_clear(c, CONN_ECE);", ""),
    ("reduced_by_every_ece", "tcp/ecn.c", "	if (c->flags & CONN_REDUCED || c->snd_max == c->snd_una)", "	if (c->snd_max == c->snd_una)"),
    ("ecn_unasked", "tcp/ecn.h", "	return (syn->flags & (SEGMENT_ECE | SEGMENT_CWR)) == (SEGMENT_ECE | SEGMENT_CWR);", "	return syn->flags & SEGMENT_ECE;"),
    ("ecn_reflected", "tcp/ecn.h", "	return (syn_ack->flags & (SEGMENT_ECE | SEGMENT_CWR)) == SEGMENT_ECE;", "	return syn_ack->flags & SEGMENT_ECE;"),
    ("ecn_never_falls_back", "tcp/rtt.c", "	if (c->state == TCP_SYN_SENT)\n		conn_clear(c, CONN_ECN);", "	;"),
    ("ect_on_all", "tcp/output.c", "b->traffic_class = new_data ? ECN_ECT0 : 0;", "b->traffic_class = ECN_ECT0;"),
    ("cubic_is_reno", "tcp/cc_cubic.c", "	BETA_TENTHS = 7,", "	BETA_TENTHS = 5,"),
    ("cubic_epoch_not_reset", "tcp/cc_cubic.c", "	s->cwnd_prior = c->cwnd;\n	s->w_est = 0;", "	s->cwnd_prior = c->cwnd;"),
    ("cubic_grows_unused", "tcp/cc_cubic.c", "	else if (c->flags & CONN_CWND_LIMITED && c->cwnd < CWND_MAX)", "	else if (c->cwnd < CWND_MAX)"),
    ("hystart_no_minimum", "tcp/hystart.c", "	THRESHOLD_MIN_US = 4000,", "	THRESHOLD_MIN_US = 1000,"),
    ("hystart_no_maximum", "tcp/hystart.c", "	THRESHOLD_MAX_US = 16000,", "	THRESHOLD_MAX_US = 160000,"),
    ("hystart_never_resumes", "tcp/hystart.c", "			h->baseline_us = 0;", "			;"),
    ("hystart_never_ends", "tcp/hystart.c", "	ROUNDS = 5,", "	ROUNDS = 50,"),
    ("hystart_always", "tcp/cc_cubic.c", "	return c->ssthresh >= (uint32_t)SSTHRESH_INITIAL;", "	return true;"),
    ("pacing_too_slow", "tcp/pace.c", "GAIN_SLOW_START = 200,", "GAIN_SLOW_START = 100,"),
    ("pacing_without_burst", "tcp/pace.h", "c->queued > (uint32_t)INITIAL_SEGMENTS * c->mss", "c->queued > 0"),
    ("pacing_never_waits", "tcp/pace.h", "	return c->flags & CONN_PACED &&", "	return false && c->flags & CONN_PACED &&"),
    # ICMP about an open
    ("soft_error_ends_open", "tcp/icmp.c", "	if (hard(e) || c->flags & CONN_IMPATIENT)", "	if (true)"),
    ("hard_error_is_soft", "tcp/icmp.c", "	if (hard(e) || c->flags & CONN_IMPATIENT)", "	if (c->flags & CONN_IMPATIENT)"),
    ("patience_without_end", "tcp/icmp.c", "	if (hard(e) || c->flags & CONN_IMPATIENT)", "	if (hard(e))"),
    ("soft_error_forgotten", "tcp/icmp.c", "	c->flags |= CONN_UNREACHABLE;", ""),
    # TIME_WAIT
    ("time_wait_assassinated", "tcp/wait.c", "	if (g->flags & SEGMENT_RST) {\n		tcp_count(t, DROP_tcp_state);\n		return false;",
     "	if (g->flags & SEGMENT_RST) {\n		forget(t, w);\n		return false;"),
    ("time_wait_takes_old_syn", "tcp/wait.c", "	return seq_gt(g->seq, w->rcv_nxt);", "	return true;"),
    ("time_wait_reopens_low", "tcp/wait.c", "*iss = w->snd_nxt + ISS_GAP;", "*iss = w->snd_nxt - ISS_GAP;"),
    ("time_wait_short", "tcp/timing.h", "TIME_WAIT_MS = 60000,", "TIME_WAIT_MS = 1000,"),
    ("time_wait_not_restarted", "tcp/wait.c", "		list_take(t, w);\n		list_put(t, w);", "		;"),
    ("time_wait_restarted_by_any_fin", "tcp/wait.c", " && g->seq + segment_span(g) == w->rcv_nxt;", ";"),
    ("time_wait_answers_all", "tcp/wait.c", " && reply_may_challenge(t, &w->challenge_ms))", ")"),
    # Sending
    ("silly_window_used", "tcp/output.c", "	return c->snd_wnd - (c->snd_nxt - c->snd_una) == len && len >= conn_window_max(c) / 2;", "	return true;"),
    ("ack_outside_window", "tcp/output.c", "seq_lt(edge, c->snd_max) ? edge : c->snd_max;", "false ? edge : c->snd_max;"),
    ("ack_old_after_timeout", "tcp/output.c", "	const uint32_t edge = c->snd_una + c->snd_wnd;\n\n	return conn_synchronised(c) && seq_lt(edge, c->snd_max) ? edge : c->snd_max;", "	return c->snd_nxt;"),
    ("window_overrun", "tcp/output.c", "	const uint32_t room = wnd > outstanding ? wnd - outstanding : 0;", "	const uint32_t room = wnd > outstanding ? wnd - outstanding + 1 : 0;"),
    # Loss recovery (RFC 2018, 6675, 8985, 9937, 3522, 3708)
    ("sacked_still_in_pipe", "tcp/scoreboard.h", "outstanding - board_of(c)->sacked - board_of(c)->lost_bytes", "outstanding - board_of(c)->lost_bytes"),
    ("part_is_whole", "tcp/scoreboard.c", "seq_ge(s->seq, r->left) && seq_le(s->end, r->right)", "seq_gt(s->end, r->left) && seq_lt(s->seq, r->right)"),
    ("any_block_believed", "tcp/scoreboard.c", " || seq_gt(r->right, c->snd_nxt)", ""),
    ("reneging_unseen", "tcp/recovery.c", "sent_first(c)->state == SENT_SACKED", "false"),
    ("no_reordering_window", "tcp/rack.c", "	return us < c->srtt_us ? (uint32_t)us : c->srtt_us;", "	return 0;"),
    ("reordering_not_learned", "tcp/rack.c", "	else if (s->again == 0 && seq_lt(s->end, b->fack))\n		c->flags |= CONN_REORDERED;", ""),
    ("window_not_widened", "tcp/rack.c", "		c->reo_more++;", "		;"),
    ("lost_retransmission_unseen", "tcp/rack.c", "		scoreboard_lose(c, s);\n		n->lost = true;", "		if (s->again > 0)\n			return 0;\n		scoreboard_lose(c, s);\n		n->lost = true;"),
    ("all_lost_after_timeout", "tcp/rack.c", "(s == first || (int32_t)(s->xmit_us + wait - c->tcp->now_us) <= 0)", "true"),
    ("no_reordering_timer", "tcp/recovery.c", "	wait_us = take(c, &n);\n	if (wait_us > 0)", "	wait_us = take(c, &n);\n	if (false)"),
    ("no_probe", "tcp/rack.c", "	if (!wanted(c)) {\n		rtt_start(c);", "	if (true) {\n		rtt_start(c);"),
    ("probe_in_recovery", "tcp/rack.c", "	return !b || (b->sacked == 0 && !b->lost.oldest && !b->timeout);", "	return true;"),
    ("probe_mends_for_nothing", "tcp/rack.c", "	if (seq_gt(c->snd_una, c->tlp_end)) {\n		conn_clear(c, CONN_PROBED | CONN_PROBED_AGAIN);\n		return true;", "	if (seq_gt(c->snd_una, c->tlp_end)) {\n		return false;"),
    ("window_stops_at_once", "tcp/prr.c", "		send = due > b->prr_out ? (uint32_t)(due - b->prr_out) : 0;", "		send = 0;"),
    ("recovery_bursts", "tcp/prr.c", "		if (send > c->ssthresh - pipe)\n			send = c->ssthresh - pipe;", "		send = c->ssthresh;"),
    ("sample_beside_retransmission", "tcp/recovery.c", "n->rtt_us == 0 || n->again_acked", "n->rtt_us == 0"),
    ("mark_undone", "tcp/undo.c", "	b->undo = !(c->flags & CONN_REDUCED);", "	b->undo = true;"),
    ("later_mark_undone", "tcp/ecn.c", "	undo_forbid(c);", "	;"),
    ("timeout_never_spurious", "tcp/frto.c", "	if (n->original)", "	if (false)"),
    ("timeout_always_spurious", "tcp/frto.c", "	if (n->original)", "	if (true)"),
    ("frto_with_nothing_new", "tcp/frto.c", "b->frto == FRTO_NEW_DATA && !new_data && ", "b->frto == FRTO_NEW_DATA && false && "),
    ("undo_by_one_dsack", "tcp/undo.c", "	return --b->undo_left == 0;", "	return true;"),
    ("undo_without_proof", "tcp/undo.c", "(int32_t)(g->tsecr - board_of(c)->undo_ts) < 0", "true"),
    ("undo_never", "tcp/undo.c", "	if (!b->undo || ", "	if (true || "),
    # The link: addresses (RFC 5227, RFC 4862)
    ("probes_once", "ip/timing.h", "ADDRESS_PROBES = 3,", "ADDRESS_PROBES = 1,"),
    ("used_before_it_is_probed", "ip/address.h", "	return (s == IP_ADDRESS_ACTIVE ||", "	return (s == IP_ADDRESS_TENTATIVE || s == IP_ADDRESS_ACTIVE ||"),
    ("not_probed", "ip/address.c", ": first_state(ip, a), iface, kind);", ": IP_ADDRESS_ACTIVE, iface, kind);"),
    ("taken_over_and_kept", "ip/address.c", "		set_state(&ip->link->addresses, s, IP_ADDRESS_TENTATIVE);\n		__attribute__((fallthrough));", "		return;"),
    ("not_defended", "ip/address.c", "		o->defended_ns = ip_now(ip);\n		announce(ip, s);", "		;"),
    ("defended_always", "ip/timing.h", "ADDRESS_DEFEND_MS = 10000,", "ADDRESS_DEFEND_MS = 0,"),
    ("claimed_again_at_once", "ip/timing.h", "ADDRESS_RATE_LIMIT_MS = 60000,", "ADDRESS_RATE_LIMIT_MS = 1000,"),
    ("own_frame_is_a_conflict", "ip/address.c", "s == NULL || ip_own_mac(ip, mac) ||", "s == NULL ||"),
    ("draining_is_kept", "ip/address.c", "		count(ip->shard->counters, C_neigh_conflicts);\n		withdraw(ip, s);\n		return;", "		return;"),
    ("link_up_unnoticed", "ip/address.c", "			set_state(t, s, IP_ADDRESS_OPTIMISTIC);\n		else if", "			continue;\n		else if"),
    ("optimistic_overrides", "ip/nd.c", "optimistic(ip, a) ? 0 : FLAG_OVERRIDE", "FLAG_OVERRIDE"),
    ("own_solicits_without_mac", "ip/nd.c", " || address_kind(word) == ADDRESS_OWN;", ";"),
    ("virtual_solicits_with_mac", "ip/nd.c", "tells_mac(ip, from) ? OPTION_SOURCE : 0", "OPTION_SOURCE"),
    ("detection_unanswered", "ip/nd.c", "		advertise(ip, x->iface, &x->target, NULL, 0);\n	} else", "		;\n	} else"),
    # ICMP errors (RFC 1122, RFC 4443)
    ("errors_about_errors4", "ip/icmp_error.c", "(v4 ? is_error4(h[at])", "(v4 ? false"),
    ("errors_about_errors6", "ip/icmp_error.c", ": is_error6(h[at]))", ": false)"),
    ("errors_about_unknown_errors", "ip/icmp_error.c", "type < 128 || type == 137", "type < 5 || type == 137"),
    ("options_to_many_untold", "ip/icmp_error.c", " || even_if_many)", ")"),
    # Neighbours (RFC 4861)
    ("hop_limit_ignored", "ip/nd.c", "	if (a->hop_limit != ND_HOP_LIMIT)", "	if (false)"),
    ("nd_in_fragments", "ip/nd.c", "	if (a->fragment) {", "	if (false) {"),
    ("solicited_to_all", "ip/nd.c", "(x->to.b[0] != 0xff || (x->flags & FLAG_SOLICITED) == 0)", "true"),
    ("reachable_unasked", "ip/nud.c", "solicited && asked ? NEIGH_REACHABLE : NEIGH_STALE", "NEIGH_REACHABLE"),
    ("advertised_is_remembered", "ip/nud.c", "if (i == 0 && news->create && word != 0)", "if (i == 0 && word != 0)"),
    ("override_ignored", "ip/nud.c", "	if (differs && !news->override) {", "	if (differs) {"),
    ("override_always", "ip/nud.c", "	if (differs && !news->override) {", "	if (false) {"),
    ("never_stale", "ip/timing.h", "NEIGH_REACHABLE_MS = 30000,", "NEIGH_REACHABLE_MS = 3000000,"),
    ("asks_for_ever", "ip/timing.h", "NEIGH_SOLICITS = 3,", "NEIGH_SOLICITS = 30,"),
    ("asks_all_when_stale", "ip/nud.c", "t->entry[i].state == NEIGH_PROBE);\n		arm(", "false);\n		arm("),
    ("gateway_forgotten", "ip/nud.c", "	case NEIGH_FAILED:\n		if (t->entry[i].gateway)", "	case NEIGH_FAILED:\n		if (false)"),
    ("asks_from_tentative", "ip/route.c", " && address_up(address_find(&ip->link->addresses, &s->addr))) {\n			best_rank", ") {\n			best_rank"),
    # Fragments (RFC 791, RFC 8200, RFC 5722, RFC 7112)
    ("overlap_taken", "ip/reassembly.c", "	if (met == NULL)\n		return 0;", "	return 0;"),
    ("overlap_dropped_alone", "ip/reassembly.c", "	if (d->refused == 0 && why != DROP_ip_fragment_duplicate)\n		refuse(r, d, why);", ""),
    ("duplicate_is_overlap", "ip/reassembly.c", "		return DROP_ip_fragment_duplicate;\n	return DROP_ip_fragment_overlap;", "		;\n	return DROP_ip_fragment_overlap;"),
    ("late_untold", "ip/reassembly.c", "		tell_sender(r->ip, &r->datagram[i]);", "		;"),
    ("late_told_to_all", "ip/reassembly.c", "	if (d->first != NULL && packet_meta(d->first)->fragment.from == 0)", "	if (d->first != NULL)"),
    ("tiny_taken", "ip/ip4.c", ": from < TCP_BYTES_MIN", ": false"),
    ("chain_unchecked", "ip/ip6.c", "	if (f->from == 0 && !chain_whole(m, w)) {", "	if (false) {"),
    ("atomic_waits", "ip/ip6.c", " && (w->h[w->at + 2] | (w->h[w->at + 3] & 0xf9)) != 0;", ";"),
    ("false_marks_taken", "ip/reassembly.c", "	return (d->ecns & 1 << CE) == 0 || (d->ecns & 1 << NOT_ECT) == 0;", "	return true;"),
    ("protocol_mixed", "ip/reassembly.c", "d->id == f->id && d->protocol == f->protocol &&", "d->id == f->id &&"),
    # Headers (RFC 791, RFC 1122, RFC 8200)
    ("routing_obeyed", "ip/ip6.c", "		if (w->h[w->at + 3] == 0)\n			return 0;", "		return 0;"),
    ("land4_taken", "ip/ip4.c", "	if (unlikely_(address_claimed(from)))", "	if (false)"),
    ("land6_taken", "ip/ip6.c", "	return unlikely_(land) ? DROP_ip_land : 0;\n}", "	return 0;\n}"),
    ("martians4_taken", "ip/ip4.c", "	return top == 0 || top == 127 || top >= 224;", "	return top >= 224;"),
    ("mapped_taken", "ip/ip6.c", "	return a->q[0] == 0 && (a->w[2] == 0 || addr_is_v4(a));", "	return a->q[0] == 0 && a->w[2] == 0;"),
    ("checksum4_unchecked", "ip/ip4.c", "	if (unlikely_(checksum_wrong(m, h, bytes)))", "	if (false)"),
    ("icmp_checksum_unchecked", "ip/icmp.c", "	else if (!checksum_right(a, pseudo))", "	else if (false)"),
    ("udp6_without_checksum", "ip/udp.c", "		return addr_is_v4(&d->tuple.local);", "		return true;"),
    ("length4_unchecked", "ip/ip4.c", "total < bytes || total > m->pkt_len - ETH_BYTES", "total < bytes"),
    ("source_route_taken", "ip/ip4.c", "		if (type == OPTION_LOOSE_SOURCE_ROUTE || type == OPTION_STRICT_SOURCE_ROUTE)\n			return DROP_ip4_source_route;", ""),
    ("hop_by_hop_anywhere", "ip/ip6.c", "		if (w->at != IP6_BYTES) {", "		if (false) {"),
    ("option_untold", "ip/ip6.c", "	if (action == 2 || (action == 3 && !multicast)) {", "	if (false) {"),
    ("frame_for_many_taken", "ip/ip4.c", "	if (unlikely_(rte_is_multicast_ether_addr(&eth->dst_addr)))\n		return DROP_eth_multicast;", ""),
]

arguments = argparse.ArgumentParser()
for name in ("cc", "link", "libs", "objects", "link-objects"):
    arguments.add_argument("--" + name, required=True)
arguments.add_argument("some", nargs="*")
given = arguments.parse_args()
COMPILER, FLAGS = given.cc.split()[:2], given.cc.split()[2:]  # "ccache gcc" and what follows
OBJECTS = os.path.join(os.path.dirname(given.objects.split()[-1]), "obj")  # beside the archive


def linked(file):
    """What a mutant of the file is linked with, and the scripts that look at it: below dataplane/ip those of link/."""
    if file.startswith("ip/"):
        return given.link_objects.split(), sorted(glob.glob("tests/wire/link/*/*.wire"))
    return given.objects.split(), sorted(glob.glob("tests/wire/*/*.wire"))


def run(command):
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False, timeout=600,
                          encoding="utf-8", errors="replace")


def text_of(file, old, new):
    """The mutated file. Headers are mutated in a folder of their own, which is searched first."""
    with open(os.path.join("dataplane", file), encoding="utf-8") as f:
        text = f.read()
    if text.count(old) != 1:
        raise ValueError(f"its text stands {text.count(old)} times in {file}")
    return text.replace(old, new)


def users_of(header):
    """Source files of the folder that see a header, as the compiler noted beside the true objects."""
    users = []
    for source in sorted(glob.glob(os.path.join("dataplane", os.path.dirname(header), "*.c"))):
        with open(os.path.join(OBJECTS, source.removesuffix(".c") + ".d"), encoding="utf-8") as f:
            if os.path.join("dataplane", header) in f.read().split():
                users.append(source)
    return users


def build(name, file, old, new):
    folder = os.path.join(FOLDER, name)
    os.makedirs(os.path.join(folder, os.path.dirname(file)), exist_ok=True)
    mutated = os.path.join(folder, file)
    with open(mutated, "w", encoding="utf-8") as f:
        f.write(text_of(file, old, new))
    objects = []
    for source in users_of(file) if file.endswith(".h") else [mutated]:
        objects.append(os.path.join(folder, os.path.basename(source) + ".o"))
        done = run([*COMPILER, "-I" + folder, *FLAGS, "-w", "-O1", "-c", source, "-o", objects[-1]])
        if done.returncode != 0:
            raise ValueError("it does not compile\n" + done.stdout)
    program = os.path.join(folder, "wire")
    done = run([*given.link.split(), "-o", program, *objects, *linked(file)[0], *given.libs.split()])
    if done.returncode != 0:
        raise ValueError("it does not link\n" + done.stdout[-3000:])
    return program


def catch(mutant):
    """Returns whether it was caught, and by what."""
    try:
        program = build(*mutant)
        done = run(["prlimit", f"--cpu={CPU_SECONDS}:{CPU_SECONDS + 5}", program, *linked(mutant[1])[1]])
    except ValueError as why:
        return False, str(why)
    except subprocess.TimeoutExpired:
        return False, "the machine is too busy to tell"
    if done.returncode == -signal.SIGXCPU:
        return True, "a script that does not end"
    by = [line.split()[1].removeprefix("tests/wire/").rstrip(":") for line in done.stdout.split("\n") if line.startswith("FAILED ")]
    if done.returncode == 0:
        return False, "no script notices it"
    return True, " ".join(by[:3]) + (f" and {len(by) - 3} more" if len(by) > 3 else "") if by else "a check of the stack"


names = [mutant[0] for mutant in MUTANTS]
assert len(set(names)) == len(names), "a name stands twice"
wanted = [mutant for mutant in MUTANTS if not given.some or any(mutant[0].startswith(s) for s in given.some)]
passed = 0
with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    for mutant, (caught, by) in zip(wanted, pool.map(catch, wanted)):
        passed += caught
        print(f"{'ok' if caught else 'not ok'} {mutant[0]}: {'caught by ' if caught else ''}{by}", flush=True)
print(f"{passed} passed, {len(wanted) - passed} failed, 0 skipped")
sys.exit(passed != len(wanted))

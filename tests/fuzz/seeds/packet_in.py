#!/usr/bin/env python3
"""Writes the seeds of fuzz_packet_in: packet_in.py FOLDER. Each is a short program in its language, which reaches one state or
one rule; the fuzzer goes on from there. The language is in tests/fuzz/fuzz_packet_in.c."""
import os
import sys

OPERATIONS = {name: i for i, name in enumerate(
    "open segment behave send time user connect repeat icmp memory deaf shed".split())}
MORE, A, AP, AF, R, RA, S, SA, BARE = 128, 0, 1, 2, 3, 4, 5, 6, 7
BACK, CREDIT, HOLD, LET, ABORT_NEXT, DETACH_NEXT, SHUT_NEXT, SEND_NEXT, SHUT, LEAVE, ABORT = 0, 0, 4, 5, 6, 7, 8, 9, 10, 11, 12
NEXT_TIMER, MS40, MS210, S1, S10, MIN1, MIN2, HOUR = 0, 3, 5, 7, 9, 11, 13, 15
PLAIN = 16 | 8 | 4  # a SYN without SACK, timestamps, window scale


def op(name, flow, *arguments, more=0):
    return bytes([OPERATIONS[name] << 2 | flow | more, *arguments])


def segment(flow, flags, where=0, *differences, length=0, window=0, odd=(0,), more=0):
    return op("segment", flow, flags, where, *differences, length, window, *odd, more=more)


def opened(flow, options=0):
    return (op("connect", flow, 0) if flow > 1 else b"") + op("open", flow, options, 1)


SEND = op("send", 0, 100, 0)          # 10,000 bytes
ACKED = op("behave", 0, 0)
DATA = op("behave", 0, 16 | 3)        # four full segments
FIN = op("behave", 0, 32)
HOLE = segment(0, A, 2 << 2, 1, length=100)
DUPACKS = op("repeat", 0, 3, A, 1 << 4, 0, 0, 4, 34, 10, 0)

seeds = {
    "refused_port": segment(2, S), "stray_ack": segment(0, A), "stray_rst": segment(0, R), "half_open": segment(0, S),
    "half_open_times_out": segment(0, S | 128) + op("time", 0, MIN2), "syn_twice": segment(0, S) * 2,
    "syn_rst": segment(0, S) + segment(0, R), "connect_times_out": op("connect", 2, 9) + op("time", 0, S10),
    "connect_refused": op("connect", 2, 0) + segment(2, RA), "connect_wrong_ack": op("connect", 2, 0) + segment(2, SA, 1 << 6, 5),
    "connect_crossed": op("connect", 2, 0) + segment(2, S) + segment(2, SA) + op("behave", 2, 16),
    "connect_unreachable": op("connect", 3, 0) + op("icmp", 3, 2 | 8, 0, 0), "connect_deaf": op("deaf", 1) + op("connect", 2, 0) + op("time", 0, S10),
    "echo": opened(0) + DATA + SEND + ACKED, "echo_6": opened(1) + op("behave", 1, 19) + op("send", 1, 50, 0) + op("behave", 1, 0),
    "echo_ours": opened(2) + op("send", 2, 60, 200) + op("behave", 2, 16) + op("user", 2, SHUT) + op("behave", 2, 32) + op("time", 2, MIN2),
    "echo_ours_6": opened(3) + op("send", 3, 60, 0) + op("behave", 3, 17),
    "plain": opened(0, PLAIN) + DATA + SEND + HOLE + ACKED, "small_mss": opened(0, 3) + SEND + ACKED, "ecn_syn": opened(0, 32) + SEND,
    "half_closed_by_peer": opened(0) + FIN + SEND + ACKED + op("user", 0, SHUT) + ACKED,
    "half_closed_by_us": opened(0) + op("user", 0, SHUT) + ACKED + DATA + FIN + op("time", 0, MIN1),
    "closing": opened(0) + op("user", 0, SHUT) + segment(0, AF, 1 << 4) + ACKED, "last_ack_lost": opened(0) + FIN + op("user", 0, SHUT) + op("time", 0, S1),
    "time_wait_again": opened(0) + op("user", 0, SHUT) + ACKED + FIN + segment(0, AF, 1 << 2, 255) + op("time", 0, S1) + opened(0),
    "time_wait_old_syn": opened(0) + op("user", 0, SHUT) + ACKED + FIN + segment(0, S, 2 << 2, 200) + segment(0, R),
    "detached": opened(0) + SEND + op("user", 0, LEAVE) + ACKED + FIN, "detached_then_data": opened(0) + op("user", 0, LEAVE) + DATA,
    "aborted": opened(0) + SEND + op("user", 0, ABORT), "callbacks": opened(0) + op("user", 0, SEND_NEXT) + DATA + op("user", 0, SHUT_NEXT) + DATA + op("user", 0, ABORT_NEXT) + ACKED,
    "hole": opened(0) + HOLE + segment(0, A, 2 << 2, 3, length=100) + DATA, "hole_fin": opened(0) + segment(0, AF, 2 << 2, 1, length=50) + DATA + ACKED,
    "overlap": opened(0) + HOLE + segment(0, A, 1 << 2, 100, length=170) + DATA, "again": opened(0) + DATA + segment(0, A, 2 << 2, 254, length=170),
    "beyond_window": opened(0) + segment(0, A, 2, length=100) + segment(0, A, 2 | 2 << 2, 255, length=178),
    "window_full": opened(0) + op("user", 0, HOLD) + op("behave", 0, 16 | 7) * 16 + op("user", 0, CREDIT, 255) + op("user", 0, LET) + DATA,
    "window_closed": opened(0) + SEND + segment(0, A, window=1) + SEND + op("time", 0, S10) + ACKED,
    "silly_window": opened(0) + segment(0, A, window=3) + SEND + op("time", 0, S1), "more": opened(0) + op("user", 0, 2, 1) + op("send", 0, 10, 0) + op("user", 0, 2, 0),
    "fast_retransmit": opened(0) + SEND + DUPACKS + ACKED, "rto": opened(0) + SEND + op("time", 0, NEXT_TIMER) * 4 + ACKED, "gives_up": opened(0) + SEND + op("time", 0, MIN2) * 4,
    "partial_acks": opened(0) + SEND + DUPACKS + segment(0, A, 1 << 4 | 2 << 6, 2) + segment(0, A, 1 << 4 | 2 << 6, 1) + ACKED,
    "old_timestamp": opened(0) + op("time", 0, S1) + DATA + segment(0, A, 0, length=50, odd=(8, 3, 255, 255, 255, 0)), "no_timestamp": opened(0) + segment(0, A, 0, length=50, odd=(8, 4)),
    "reset_in_window": opened(0) + segment(0, R, 1 << 2, 9), "reset": opened(0) + segment(0, R), "syn_in_window": opened(0) + segment(0, S, 1 << 2, 9), "bare": opened(0) + segment(0, BARE, length=9),
    "ack_of_the_future": opened(0) + segment(0, A, 1 << 6, 9, length=20), "ack_ancient": opened(0) + SEND + segment(0, A, 3 << 6, 128, 0, 0, 0, length=20),
    "keepalive": opened(0) + op("user", 0, 1, 12) + op("time", 0, S10), "fragments": opened(0) + segment(0, A, length=150, odd=(2, 3)) + segment(0, A, length=150, odd=(2, 0x63)),
    "fragments_6": opened(1) + segment(1, A, length=150, odd=(2, 3)) + segment(1, A, length=150, odd=(2, 0x83)), "chain": opened(0) + segment(0, A, length=150, odd=(1, 0x84)) + HOLE,
    "too_big": opened(0) + SEND + op("icmp", 0, 3 | 8, 2, 0), "icmp_lies": opened(0) + SEND + op("icmp", 0, 3 | 32 | 8, 2, 2, 0, 0, 0, 0) + op("icmp", 1, 1 | 64, 0, 0),
    "no_header": opened(0) + op("memory", 0, 1) + SEND + HOLE + op("time", 0, S1) + op("memory", 0, 0), "no_reference": opened(0) + op("memory", 1, 0) + SEND + op("time", 0, S1) + op("memory", 1, 0),
    "shed": opened(0) + HOLE + op("shed", 0, 255) + DATA + op("shed", 0, 0) + DATA, "round": opened(0) + segment(0, A, length=100, more=MORE) * 3 + segment(0, AF, length=100),
    "broken_options": opened(0) + segment(0, A, length=10, odd=(16, 3, 8, 20, 1)) + segment(0, A, length=10, odd=(128, 3)) + segment(0, A, length=10, odd=(64,)),
    "delayed_ack": opened(0) + segment(0, A, length=10) + op("time", 0, MS40), "hour": opened(0) + op("time", 0, HOUR) + DATA,
}
for name, text in seeds.items():
    with open(os.path.join(sys.argv[1], name), "wb") as f:
        f.write(text)

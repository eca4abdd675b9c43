#!/usr/bin/env python3
"""Ordinary clients: each opens a connection, asks once, and is gone; eight side by side, ten a second each.

crowd.py ADDRESS, until its input ends. Says "begun" after the first answer. A connect fails when it is not open within 10 s, which
is what a browser waits at least, or the request on it is not answered with 200. Prints one JSON object: asked, lost, the first
losses, late (open only after a SYN was sent again: 900 ms), and p50, p99 and the slowest connect in ms.
"""
import json
import socket
import sys
import threading
import time

ADDRESS, CLIENTS, EVERY_S = sys.argv[1], 8, 0.1
asked, losses, times, over, begun = [], [], [], threading.Event(), threading.Event()


def ask():
    start = time.monotonic()
    with socket.create_connection((ADDRESS, 80), timeout=10) as s:
        times.append((time.monotonic() - start) * 1000)
        s.sendall(b"GET /crowd HTTP/1.1\r\nHost: attack\r\nConnection: close\r\n\r\n")
        answer = b""
        while piece := s.recv(65536):
            answer += piece
    if b" 200 " not in answer[:20]:
        raise OSError(f"{answer[:80]!r}")
    begun.set()


def client(first):
    due = time.monotonic() + first
    while not over.wait(max(0, due - time.monotonic())):
        asked.append(due)
        try:
            ask()
        except OSError as why:
            losses.append(f"{type(why).__name__} {why}")
        due = max(due + EVERY_S, time.monotonic())


def main():
    clients = [threading.Thread(target=client, args=(n * EVERY_S / CLIENTS,)) for n in range(CLIENTS)]
    for c in clients:
        c.start()
    begun.wait(10)
    print("begun", flush=True)
    sys.stdin.read()
    over.set()
    for c in clients:
        c.join()
    times.sort()
    at = lambda part: round(times[min(int(len(times) * part), len(times) - 1)], 1) if times else None
    print(json.dumps({"asked": len(asked), "lost": len(losses), "first": losses[:3], "late": sum(t > 900 for t in times), "p50": at(.5),
                      "p99": at(.99), "slowest": at(1)}))


main()

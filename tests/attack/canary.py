#!/usr/bin/env python3
"""A client that must not notice: 20 requests/s, half of them on one connection that lives, half on a fresh one each.

canary.py ADDRESS, until its input ends, but a second at least. Says "begun" after the first request. A request is lost if it is not answered with 200 and a backend's text within 10 s,
or if the connection that lives ends. Prints one JSON object: asked, lost, the first losses, fresh (connections opened),
p50, p99 and the slowest in ms.
"""
import http.client
import json
import select
import sys
import time

ADDRESS = sys.argv[1]
losses, times = [], []


def ask(connection):
    connection.request("GET", "/canary")
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200 or not body.startswith(b"hello from backend "):
        raise OSError(f"{answer.status} {body[:80]!r}")
    if answer.getheader("connection", "").lower() == "close":
        raise OSError("told to close")


def main():
    kept, asked, due = http.client.HTTPConnection(ADDRESS, timeout=10), 0, time.monotonic()
    while True:
        wait = max(0, due - time.monotonic())
        if asked < 20:
            time.sleep(wait)
        elif select.select([sys.stdin], [], [], wait)[0]:
            break
        fresh = asked % 2 == 1
        connection = http.client.HTTPConnection(ADDRESS, timeout=10) if fresh else kept
        start = time.monotonic()
        try:
            ask(connection)
        except (OSError, http.client.HTTPException) as why:
            losses.append(f"request {asked} ({'fresh' if fresh else 'kept'}): {type(why).__name__} {why}")
            if not fresh:
                kept = http.client.HTTPConnection(ADDRESS, timeout=10)
        if asked == 0:
            print("begun", flush=True)
        times.append((time.monotonic() - start) * 1000)
        if fresh:
            connection.close()
        asked += 1
        due = max(due + 0.05, time.monotonic() - 1)
    times.sort()
    at = lambda part: round(times[min(int(len(times) * part), len(times) - 1)], 1) if times else None
    print(json.dumps({"asked": asked, "lost": len(losses), "first": losses[:3], "fresh": asked // 2, "p50": at(.5), "p99": at(.99),
                      "slowest": at(1)}))


main()

#!/usr/bin/env python3
"""Keep-alive clients that check every answer: verifying_clients.py ADDRESS PORT PATH CONNECTIONS SECONDS THINK_MS

Each connection alternates GET and POST (a random body that must come back). A connection is never opened again:
one that closes is a failure. Prints one JSON object: requests, failures (the first few as text), closed, and the
latencies in ms (median, p99, slowest).
"""
import asyncio
import json
import os
import random
import sys
import time

ADDRESS, PORT, PATH = sys.argv[1], int(sys.argv[2]), sys.argv[3]
CONNECTIONS, SECONDS, THINK = int(sys.argv[4]), float(sys.argv[5]), float(sys.argv[6]) / 1000
latencies, failures, closed = [], [], 0


async def one(number, stop):
    global closed
    rng = random.Random(number)
    reader, writer = await asyncio.open_connection(ADDRESS, PORT)
    await asyncio.sleep(rng.random() * THINK)
    turn = 0
    try:
        while time.monotonic() < stop:
            turn += 1
            body = os.urandom(rng.randrange(1, 5000)) if turn % 2 else b""
            head = f"{'POST' if body else 'GET'} {PATH}?n={number}.{turn} HTTP/1.1\r\nHost: verify\r\n"
            if body:
                head += f"Content-Length: {len(body)}\r\n"
            start = time.monotonic()
            writer.write(head.encode() + b"\r\n" + body)
            answer = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 30)
            lines = answer.decode("latin-1").split("\r\n")
            fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
            got = await asyncio.wait_for(reader.readexactly(int(fields.get("content-length", 0))), 30)
            latencies.append((time.monotonic() - start) * 1000)
            if " 200 " not in lines[0] or got != body or f"n={number}.{turn}\"" not in fields.get("x-seen", ""):
                failures.append(f"connection {number} request {turn}: {lines[0]}, {len(got)} of {len(body)} bytes")
            if fields.get("connection", "").lower() == "close":
                failures.append(f"connection {number} request {turn}: connection: close")
            await asyncio.sleep(THINK)
    except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as why:
        closed += 1
        failures.append(f"connection {number} request {turn}: {type(why).__name__} {why}")
    writer.close()


async def main():
    stop = time.monotonic() + SECONDS
    await asyncio.gather(*(one(n, stop) for n in range(CONNECTIONS)))
    latencies.sort()
    pick = lambda q: round(latencies[min(int(len(latencies) * q), len(latencies) - 1)], 3) if latencies else None
    print(json.dumps({"requests": len(latencies), "failures": len(failures), "first": failures[:5], "closed": closed,
                      "median_ms": pick(.5), "p99_ms": pick(.99), "slowest_ms": pick(1),
                      "slow": [round(x, 2) for x in latencies[-5:]]}))


asyncio.run(main())

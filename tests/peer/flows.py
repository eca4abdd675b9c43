#!/usr/bin/env python3
"""Flows whose every byte is checked: flows.py PREFIX FLOWS BYTES REQUESTS SECONDS ADDRESS...

On each address FLOWS connections that download and FLOWS that upload, REQUESTS bodies of BYTES each, one after the
other on a connection that stays open, with the congestion control that is the gateway's default. Prints one JSON
object; a flow that is not done after SECONDS is a failure.
"""
import asyncio
import hashlib
import json
import random
import socket
import sys
import time

PREFIX, FLOWS, BYTES, REQUESTS, SECONDS = sys.argv[1], *(int(a) for a in sys.argv[2:6])
done = {"download": 0, "upload": 0}
failures = []


async def head(reader):
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    fields = {k.lower(): v.strip() for k, _, v in (line.partition(":") for line in lines[1:] if line)}
    if " 200 " not in lines[0]:
        raise ValueError(lines[0])
    if fields.get("connection", "").lower() == "close":
        raise ValueError("connection: close")
    return fields


async def body(reader, fields, take):
    if fields.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            take(await reader.readexactly(size))
            await reader.readexactly(2)
        await reader.readline()
        return
    left = int(fields["content-length"])
    while left:
        piece = await reader.read(min(left, 65536))
        if not piece:
            raise ConnectionError("cut inside a body")
        take(piece)
        left -= len(piece)


def content(seed):
    """The same bytes that the backend makes: its generator is drawn from in pieces of this size."""
    rng, left, pieces = random.Random(seed), BYTES, []
    while left:
        pieces.append(rng.randbytes(min(left, 8192)))
        left -= len(pieces[-1])
    return b"".join(pieces)


async def download(reader, writer, seed):
    writer.write(f"GET {PREFIX}/{seed}/{BYTES} HTTP/1.1\r\nHost: peer\r\n\r\n".encode())
    got = hashlib.sha256()
    await body(reader, await head(reader), got.update)
    if got.digest() != hashlib.sha256(content(seed)).digest():
        raise ValueError("the download is not what was sent")


async def upload(reader, writer, seed):
    data, got = content(seed), bytearray()
    writer.write(f"PUT {PREFIX}/{seed} HTTP/1.1\r\nHost: peer\r\nContent-Length: {len(data)}\r\n\r\n".encode())
    for at in range(0, len(data), 16384):
        writer.write(data[at:at + 16384])
        await writer.drain()
    await body(reader, await head(reader), got.extend)
    if got.decode() != hashlib.sha256(data).hexdigest():
        raise ValueError("the upload is not what was sent")


async def flow(kind, address, number):
    what = f"{kind.__name__} {number} by {address}"
    try:
        reader, writer = await asyncio.open_connection(address, 80)
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
        for request in range(REQUESTS):
            await kind(reader, writer, number * 1000 + request)
        writer.close()
        await writer.wait_closed()
        done[kind.__name__] += 1
    except (OSError, ValueError, KeyError, asyncio.IncompleteReadError) as why:
        failures.append(f"{what}: {type(why).__name__} {why}")
    except asyncio.CancelledError:
        failures.append(f"{what}: not done in time")


async def main():
    start = time.monotonic()
    tasks = [asyncio.create_task(flow(kind, address, 2 * number + (kind is upload)))
             for address in sys.argv[6:] for number in range(FLOWS) for kind in (download, upload)]
    _, late = await asyncio.wait(tasks, timeout=SECONDS)
    for task in late:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    seconds = time.monotonic() - start
    print(json.dumps({"done": done, "failures": len(failures), "first": failures[:5], "seconds": round(seconds, 1),
                      "mbit_per_s": round((done["download"] + done["upload"]) * REQUESTS * BYTES * 8 / seconds / 1e6, 1)}))


asyncio.run(main())

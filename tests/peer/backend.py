#!/usr/bin/env python3
"""A backend whose bytes can be checked: backend.py PORT ADDRESS...

GET /SEED/BYTES answers with that many bytes of the generator of that seed (chunked when the seed is odd); PUT answers
with the SHA-256 of the body in hex. Both ends make and check the bytes by themselves.
"""
import asyncio
import hashlib
import random
import socket
import sys

PIECE = 8192


async def put_body(reader, fields):
    digest = hashlib.sha256()
    if fields.get("transfer-encoding", "").lower() == "chunked":
        while size := int((await reader.readline()).split(b";")[0], 16):
            digest.update(await reader.readexactly(size))
            await reader.readexactly(2)
        while (await reader.readline()).strip():
            pass
        return digest.hexdigest()
    left = int(fields.get("content-length", 0))
    while left:
        piece = await reader.read(min(left, PIECE))
        if not piece:
            raise ConnectionError("cut")
        digest.update(piece)
        left -= len(piece)
    return digest.hexdigest()


async def get_body(writer, target):
    seed, size = (int(part) for part in target.strip("/").split("/")[-2:])
    rng, chunked = random.Random(seed), seed % 2
    writer.write(b"HTTP/1.1 200 OK\r\n" + (b"transfer-encoding: chunked" if chunked else b"content-length: %d" % size) +
                 b"\r\n\r\n")
    while size:
        piece = rng.randbytes(min(size, PIECE))
        size -= len(piece)
        writer.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked else piece)
        await writer.drain()
    if chunked:
        writer.write(b"0\r\n\r\n")


async def serve(reader, writer):
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, b"cubic")
    try:
        while line := await reader.readline():
            method, target, _ = line.decode("latin-1").split()
            fields = {}
            while line := (await reader.readline()).decode("latin-1").strip():
                name, _, value = line.partition(":")
                fields[name.lower()] = value.strip()
            if method == "PUT":
                text = await put_body(reader, fields)
                writer.write(f"HTTP/1.1 200 OK\r\ncontent-length: {len(text)}\r\n\r\n{text}".encode())
            else:
                await get_body(writer, target)
            await writer.drain()
    except (OSError, asyncio.IncompleteReadError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    servers = [await asyncio.start_server(serve, address, int(sys.argv[1]), backlog=1024) for address in sys.argv[2:]]
    print("ready", flush=True)
    await asyncio.gather(*(server.serve_forever() for server in servers))


asyncio.run(main())

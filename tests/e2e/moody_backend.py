#!/usr/bin/env python3
"""A backend with moods: moody_backend.py NAME ADDRESS PORT

The query says what it does: ?key=K names a row of requests, of which the first `times` (0 when absent) are answered with
`status` (503) after `delay_ms` (0), the others with 200 at once. early=1: answers with `status` before it has read the
body, and closes. Every answer has x-backend: NAME and x-attempt: how many of K have come; the body is the request's.
"""
import asyncio
import sys
from urllib.parse import parse_qs, urlsplit

NAME, ADDRESS, PORT = sys.argv[1], sys.argv[2], int(sys.argv[3])
SEEN = {}


async def answer(writer, status, attempt, body, close=False):
    writer.write((f"HTTP/1.1 {status} Mood\r\nx-backend: {NAME}\r\nx-attempt: {attempt}\r\n"
                  f"content-length: {len(body)}\r\n{'connection: close' if close else 'x: y'}\r\n\r\n").encode() + body)
    await writer.drain()


async def serve(reader, writer):
    try:
        while True:
            line = await reader.readline()
            if not line:
                break
            query = {k: v[0] for k, v in parse_qs(urlsplit(line.decode().split()[1]).query).items()}
            length = 0
            while (header := (await reader.readline()).decode().rstrip("\r\n")):
                name, _, value = header.partition(":")
                length = int(value) if name.lower() == "content-length" else length
            attempt = SEEN[query.get("key")] = SEEN.get(query.get("key"), 0) + 1
            status = int(query.get("status", 503))
            if "early" in query:
                await answer(writer, status, attempt, b"too much", close=True)
                break
            body = await reader.readexactly(length)
            if attempt <= int(query.get("times", 0)):
                await asyncio.sleep(int(query.get("delay_ms", 0)) / 1000)
                await answer(writer, status, attempt, b"in a mood")
            else:
                await answer(writer, 200, attempt, body)
    except (ConnectionError, asyncio.IncompleteReadError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, ADDRESS, PORT, backlog=1024, limit=1 << 20)
    async with server:
        await server.serve_forever()


asyncio.run(main())

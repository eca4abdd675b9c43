#!/usr/bin/env python3
"""A backend that answers as its path says, and seldom as HTTP says: hostile_backend.py ADDRESS PORT

What has no end has 100,000 pieces here.
"""
import asyncio
import sys

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"transfer-encoding: chunked\r\n\r\n"
ANSWERS = {
    "fine": [OK + b"content-length: 2\r\n\r\nok"],
    "endless-head": [OK] + [b"x: " + b"a" * 100 + b"\r\n"] * 100000,
    "endless-line": [OK + b"x: "] + [b"a" * 100] * 100000,
    "interim-flood": [b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"] * 100000,
    "two-lengths": [OK + b"content-length: 2\r\ncontent-length: 3\r\n\r\nok!"],
    "length-and-chunks": [OK + b"content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"],
    "negative-length": [OK + b"content-length: -1\r\n\r\nok"],
    "huge-length": [OK + b"content-length: 18446744073709551616\r\n\r\nok"],
    "short": [OK + b"content-length: 100\r\n\r\nshort"],
    "long": [OK + b"content-length: 2\r\n\r\nok" + OK + b"content-length: 6\r\n\r\npoison"],
    "bad-chunk": [CHUNKED + b"2\r\nokXX0\r\n\r\n"],
    "huge-chunk": [CHUNKED + b"ffffffffffffffffff\r\nok"],
    "endless-extensions": [CHUNKED] + [b"1;" + b"a" * 100 + b"\r\nx\r\n"] * 100000,
    "endless-trailers": [CHUNKED + b"0\r\n"] + [b"x: " + b"a" * 100 + b"\r\n"] * 100000,
    "unasked-101": [b"HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n" + b"junk" * 100],
    "garbage": [bytes((i * 7 + i // 3) % 256 for i in range(5000))],
    "nul": [b"HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n"],
    "folded": [OK + b"x: a\r\n b\r\ncontent-length: 0\r\n\r\n"],
    "bare-lf": [b"HTTP/1.1 200 OK\ncontent-length: 2\n\nok"],
    "other-version": [b"HTTP/2.7 200 OK\r\ncontent-length: 0\r\n\r\n"],
    "status-999": [b"HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n"],
    "drip": [bytes([b]) for b in OK + b"content-length: 2\r\n\r\nok"],
}
STAY = ("fine", "long")


async def serve(reader, writer):
    try:
        while head := await reader.readuntil(b"\r\n\r\n"):
            answer = head.split(b" ", 2)[1].rsplit(b"/", 1)[1].decode("latin-1")
            for piece in ANSWERS[answer]:
                writer.write(piece)
                await writer.drain()
                if answer == "drip":
                    await asyncio.sleep(.01)
            if answer not in STAY:
                break
    except (ConnectionError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, sys.argv[1], int(sys.argv[2]), backlog=1024)
    async with server:
        await server.serve_forever()


asyncio.run(main())

#!/usr/bin/env python3
"""A backend that answers every request with its own body and what it saw: echo_backend.py NAME ADDRESS PORT [LOG]

Response: 200, x-backend: NAME, x-seen: the request as JSON (method, target, headers), body: the request's body.
Bodies come with Content-Length or chunked and go back the same way. LOG is a file that gets a line of JSON per request:
what was seen, and the length of the body.
"""
import asyncio
import json
import sys

NAME, ADDRESS, PORT, LOG = sys.argv[1], sys.argv[2], int(sys.argv[3]), (sys.argv + [None])[4]


async def read_body(reader, headers):
    if headers.get("transfer-encoding", "").lower() == "chunked":
        body = b""
        while True:
            size = int((await reader.readline()).split(b";")[0], 16)
            if size == 0:
                while (await reader.readline()).strip():
                    pass
                return body, True
            body += await reader.readexactly(size)
            await reader.readexactly(2)
    return await reader.readexactly(int(headers.get("content-length", 0))), False


async def serve(reader, writer):
    try:
        while True:
            line = await reader.readline()
            if not line:
                break
            method, target, _version = line.decode("latin-1").split()
            raw = []
            while True:
                line = (await reader.readline()).decode("latin-1").rstrip("\r\n")
                if not line:
                    break
                raw.append([part.strip() for part in line.split(":", 1)])
            headers = {name.lower(): value for name, value in raw}
            if headers.get("expect", "").lower() == "100-continue":
                writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
                await writer.drain()
            body, chunked = await read_body(reader, headers)
            seen = json.dumps({"method": method, "target": target, "headers": raw})
            if LOG:
                with open(LOG, "a", encoding="utf-8") as f:
                    f.write(seen[:-1] + f', "body": {len(body)}}}\n')
            head = f"HTTP/1.1 200 OK\r\nx-backend: {NAME}\r\nx-seen: {seen}\r\ncontent-type: application/octet-stream\r\n"
            if chunked:
                writer.write(f"{head}transfer-encoding: chunked\r\n\r\n".encode("latin-1"))
                for at in range(0, len(body), 1000):
                    piece = body[at:at + 1000]
                    writer.write(f"{len(piece):x}\r\n".encode() + piece + b"\r\n")
                writer.write(b"0\r\n\r\n")
            else:
                writer.write(f"{head}content-length: {len(body)}\r\n\r\n".encode("latin-1"))
                if method != "HEAD":
                    writer.write(body)
            await writer.drain()
    except (ConnectionError, asyncio.IncompleteReadError, ValueError):
        pass
    finally:
        writer.close()


async def main():
    server = await asyncio.start_server(serve, ADDRESS, PORT, backlog=1024, limit=1 << 20)
    async with server:
        await server.serve_forever()


asyncio.run(main())

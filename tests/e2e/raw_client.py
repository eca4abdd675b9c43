#!/usr/bin/env python3
"""Sends the bytes of each line of its input (hexadecimal, then a name) to ADDRESS PORT, and a canary after each.

raw_client.py ADDRESS PORT < variants

A variant gets a connection of its own; after its bytes the writing side is closed and everything is read. The canary is
a GET on a connection that lives throughout: it must be answered with 200 and nothing else. Prints one JSON object: how
many variants; how many responses came from the backend (they have a Server field) and from the gateway; how many second
requests of a connection the backend answered; how many requests the gateway refused for their body.
"""
import collections
import json
import re
import socket
import sys

ADDRESS = (sys.argv[1], int(sys.argv[2]))
HEAD = re.compile(rb"HTTP/1\.1 (\d\d\d) .*?\r\n\r\n", re.S)


def read_response(connection):
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise AssertionError(f"the canary's connection ended: {data!r}")
        data += part
    head, body = data.split(b"\r\n\r\n", 1)
    length = int(re.search(rb"(?i)content-length: (\d+)", head).group(1))
    while len(body) < length:
        body += connection.recv(65536)
    return head, body


def variant(data):
    with socket.create_connection(ADDRESS, timeout=10) as connection:
        try:
            connection.sendall(data)
            connection.shutdown(socket.SHUT_WR)
        except OSError:
            pass
        got = b""
        try:
            while part := connection.recv(65536):
                got += part
        except ConnectionError:
            pass
        return got


def main():
    counts = collections.Counter()
    canary = socket.create_connection(ADDRESS, timeout=10)
    for line in sys.stdin:
        data, name = line.rstrip("\n").split(" ", 1)
        answers = []
        for head in HEAD.finditer(variant(bytes.fromhex(data))):
            answers.append("backend" if b"\r\nServer: nginx" in head.group(0) else "gateway")
            counts[answers[-1]] += 1
        counts["variants"] += 1
        counts["second"] += len(answers) > 1 and answers[-1] == "backend"
        counts["broken"] += answers == ["gateway"] and name.startswith("chunks")
        canary.sendall(b"GET /canary HTTP/1.1\r\nHost: a.example\r\n\r\n")
        head, body = read_response(canary)
        if not head.startswith(b"HTTP/1.1 200 ") or body != b"hello from backend 1\n":
            raise AssertionError(f"after {name}: the canary got {head!r} {body!r}")
    print(json.dumps(counts))


main()

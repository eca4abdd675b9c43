#!/usr/bin/env python3
"""One flow at a time, as fast as TCP lets it: bulk.py serve ALGORITHM ADDRESS PORT | get|put ALGORITHM URL BYTES

serve answers GET .../BYTES with that many bytes and takes what is PUT. get and put print how many Mbit/s it was, from the
request's first byte to the answer's last. ALGORITHM is the congestion control of this end.
"""
import socket
import sys
import threading
import time
import urllib.parse

BLOCK = bytes(65536)


def socket_with(algorithm, address, port, listen=False):
    s = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, algorithm.encode())
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if listen:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((address, port))
        s.listen(64)
    else:
        s.settimeout(120)
        s.connect((address, port))
    return s


def head(file):
    first, length = file.readline().split(), 0
    while (line := file.readline().strip()):
        name, _, value = line.partition(b":")
        if name.lower() == b"content-length":
            length = int(value)
    return first, length


def send(s, size):
    while size:
        size -= s.send(BLOCK[:size])


def drain(file, size):
    buffer = bytearray(65536)
    while size:
        n = file.readinto1(memoryview(buffer)[:size])
        if not n:
            raise ConnectionError(f"cut, {size} bytes before the end")
        size -= n


def answer(s):
    file = s.makefile("rb", buffering=65536)
    try:
        while True:
            first, length = head(file)
            if not first:
                break
            drain(file, length)
            size = int(first[1].rsplit(b"/", 1)[1]) if first[0] == b"GET" else 0
            s.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size)
            send(s, size)
    except (OSError, ValueError):
        pass
    s.close()


def serve(algorithm, address, port):
    listener = socket_with(algorithm, address, int(port), listen=True)
    print("ready", flush=True)
    while True:
        s, _ = listener.accept()
        threading.Thread(target=answer, args=(s,), daemon=True).start()


def transfer(kind, algorithm, url, size):
    to, size = urllib.parse.urlsplit(url), int(size)
    s = socket_with(algorithm, to.hostname, to.port or 80)
    file = s.makefile("rb", buffering=65536)
    start = time.monotonic()
    if kind == "get":
        s.sendall(f"GET {to.path}/{size} HTTP/1.1\r\nHost: peer\r\n\r\n".encode())
    else:
        s.sendall(f"PUT {to.path} HTTP/1.1\r\nHost: peer\r\nContent-Length: {size}\r\n\r\n".encode())
        send(s, size)
    first, length = head(file)
    if first[1] != b"200" or length != (size if kind == "get" else 0):
        raise ValueError(f"{first} {length}")
    drain(file, length)
    print(size * 8 / (time.monotonic() - start) / 1e6)


if sys.argv[1] == "serve":
    serve(*sys.argv[2:])
else:
    transfer(*sys.argv[1:])

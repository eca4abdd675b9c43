#!/usr/bin/env python3
"""A WebSocket client (python3-websockets) that checks an echo: websocket_client.py URL [CONNECTIONS]

Text, binary, empty and large messages, many in flight, ping and pong, the closing handshake. Prints what it did.
"""
import os
import sys
import threading

from websockets.sync.client import connect

URL, CONNECTIONS = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 1
failures = []


def talk():
    sent = 0
    with connect(URL, max_size=None, compression=None, ping_interval=None, close_timeout=10) as socket:
        for message in ("hello", "", "grüß", b"\x00\xff" * 100, os.urandom(1 << 20)):
            socket.send(message)
            assert socket.recv(timeout=20) == message, "another message came back"
            sent += 1
        for n in range(200):
            socket.send(f"message {n}")
        for n in range(200):
            assert socket.recv(timeout=20) == f"message {n}", "out of order"
            sent += 1
        assert socket.ping().wait(20), "no pong"
    assert socket.close_code == 1000, f"closed with {socket.close_code}"
    return sent


def run():
    try:
        counts.append(talk())
    except Exception as why:  # pylint: disable=broad-except
        failures.append(repr(why))


counts = []
threads = [threading.Thread(target=run) for _ in range(CONNECTIONS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(f"{sum(counts)} messages on {len(counts)} connections, {len(failures)} failed {failures[:3]}")
sys.exit(1 if failures else 0)

#!/usr/bin/env python3
"""A WebSocket server (python3-websockets) that sends every message back: websocket_backend.py ADDRESS PORT"""
import sys

from websockets.sync.server import serve


def echo(socket):
    for message in socket:
        socket.send(message)


with serve(echo, sys.argv[1], int(sys.argv[2]), max_size=None, compression=None, ping_interval=None) as server:
    server.serve_forever()

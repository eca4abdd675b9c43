#!/usr/bin/env python3
"""A proxy that takes CONNECT to one place only: connect_backend.py ADDRESS PORT ITS_NAME:PORT TO_ADDRESS TO_PORT

Whatever else it is asked for is refused: 403 with a body of two bytes.
"""
import socket
import sys
import threading

HERE, TARGET, TO = (sys.argv[1], int(sys.argv[2])), sys.argv[3], (sys.argv[4], int(sys.argv[5]))


def relay(source, sink):
    try:
        while part := source.recv(65536):
            sink.sendall(part)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def serve(client):
    with client:
        head = b""
        while b"\r\n\r\n" not in head:
            part = client.recv(65536)
            if not part:
                return
            head += part
        head, early = head.split(b"\r\n\r\n", 1)
        if early or head.split(b"\r\n")[0] != f"CONNECT {TARGET} HTTP/1.1".encode():
            client.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno")
            return
        with socket.create_connection(TO) as to:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            back = threading.Thread(target=relay, args=(to, client))
            back.start()
            relay(client, to)
            back.join()


with socket.create_server(HERE) as server:
    while True:
        threading.Thread(target=serve, args=(server.accept()[0],), daemon=True).start()

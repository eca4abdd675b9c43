#!/usr/bin/env python3
"""A name server of the tests: name_server.py ADDRESS FILE, on port 53, UDP and TCP.

FILE is JSON, read anew for each question: {"x.example": {"A": [...], "AAAA": [...], "ttl": 1, "how": "..."}}. How:
"" answers, "nxdomain", "servfail", "refused", "silent" never answers, "alias" answers through two CNAMEs, "spoofed"
sends forged answers before the true one, which itself carries a record for another name. A name that is not in the
file does not exist. Answers that do not fit into the asker's UDP size are cut, and whole over TCP.
"""
import json
import socket
import socketserver
import struct
import sys
import threading

A, AAAA, CNAME, OPT, IN = 1, 28, 5, 41, 1
RCODES = {"nxdomain": 3, "servfail": 2, "refused": 5}
FORGED = "198.18.1.66"


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def read_name(data, at):
    labels = []
    while data[at]:
        labels.append(data[at + 1:at + 1 + data[at]].decode())
        at += 1 + data[at]
    return ".".join(labels), at + 1


def record(name, kind, ttl, content):
    return encode_name(name) + struct.pack("!HHIH", kind, IN, ttl, len(content)) + content


def address(kind, text):
    return socket.inet_pton(socket.AF_INET if kind == A else socket.AF_INET6, text)


def message(number, name, kind, records, rcode=0, cut=False):
    head = struct.pack("!HHHHHH", number, 0x8180 | (0x200 if cut else 0) | rcode, 1, len(records), 0, 0)
    return head + encode_name(name) + struct.pack("!HH", kind, IN) + b"".join(records)


def asked_size(data, at):
    """What an OPT record in the question allows, else 512."""
    if struct.unpack_from("!H", data, 10)[0] and data[at] == 0:
        kind, size = struct.unpack_from("!HH", data, at + 1)
        if kind == OPT:
            return max(512, size)
    return 512


def answers(data, path, tcp):
    """The datagrams (or messages) that the question is answered with."""
    number = struct.unpack_from("!H", data)[0]
    name, at = read_name(data, 12)
    kind = struct.unpack_from("!H", data, at)[0]
    with open(path, encoding="utf-8") as f:
        entry = json.load(f).get(name.lower(), {"how": "nxdomain"})
    how, ttl = entry.get("how", ""), entry.get("ttl", 1)
    if how == "silent":
        return []
    if how in RCODES:
        return [message(number, name, kind, [], rcode=RCODES[how])]
    texts = entry.get({A: "A", AAAA: "AAAA"}.get(kind, ""), [])
    owner, records, before = name, [], []
    if how == "alias":
        records = [record(name, CNAME, ttl, encode_name("a." + name)),
                   record("a." + name, CNAME, ttl, encode_name("b." + name))]
        owner = "b." + name
    records += [record(owner, kind, ttl, address(kind, text)) for text in texts]
    if how == "spoofed" and kind == A:
        forged = record(name, A, 300, address(A, FORGED))
        before = [message(number ^ 0x5555, name, kind, [forged]), message(number, "other.example", kind, [forged])]
        records.append(record("other.example", A, 300, address(A, FORGED)))
    whole = message(number, name, kind, records)
    if not tcp and len(whole) > asked_size(data, at + 4):
        whole = message(number, name, kind, [], cut=True)
    return before + [whole]


class Udp(socketserver.BaseRequestHandler):
    def handle(self):
        data, sock = self.request
        for datagram in answers(data, sys.argv[2], tcp=False):
            sock.sendto(datagram, self.client_address)


class Tcp(socketserver.StreamRequestHandler):
    def handle(self):
        while len(head := self.rfile.read(2)) == 2:
            for whole in answers(self.rfile.read(struct.unpack("!H", head)[0]), sys.argv[2], tcp=True):
                self.wfile.write(struct.pack("!H", len(whole)) + whole)


def main():
    socketserver.TCPServer.allow_reuse_address = True
    tcp = socketserver.ThreadingTCPServer((sys.argv[1], 53), Tcp)
    tcp.daemon_threads = True
    threading.Thread(target=tcp.serve_forever, daemon=True).start()
    with socketserver.ThreadingUDPServer((sys.argv[1], 53), Udp) as udp:
        udp.daemon_threads = True
        print("ready", flush=True)
        udp.serve_forever()


main()

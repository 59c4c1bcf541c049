"""Multicast DNS (RFC 6762) by hand, for tests: an ear that hears every packet of a network, and a mouth that says anything in anybody's name."""

import contextlib
import socket
import struct
import threading

GROUP, PORT = "224.0.0.251", 5353
SERVICE = "_lode._tcp.local"
TYPE_A, TYPE_PTR, TYPE_TXT, TYPE_SRV = 1, 12, 16, 33
CLASS_IN, CLASS_UNIQUE = 1, 0x8001
REPEAT_SECONDS = 0.2


def _socket(node):
    with node.inside():
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind(("", PORT))
    made.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(GROUP) + socket.inet_aton(node.address))
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(node.address))
    made.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 255)
    made.settimeout(REPEAT_SECONDS)
    return made


def _read_name(packet, at):
    """A name, pointers followed, and where what follows it begins."""
    labels, end = [], None
    while packet[at]:
        if packet[at] & 0xC0:
            end = end or at + 2
            at = struct.unpack_from("!H", packet, at)[0] & 0x3FFF
            continue
        labels.append(packet[at + 1:at + 1 + packet[at]].decode(errors="replace"))
        at += 1 + packet[at]
    return ".".join(labels), end or at + 1


def records_of(packet):
    """(name, type, time to live) of each record; questions are left out."""
    _, _, questions, *counts = struct.unpack_from("!6H", packet)
    at, records = 12, []
    for _ in range(questions):
        at = _read_name(packet, at)[1] + 4
    for _ in range(sum(counts)):
        name, at = _read_name(packet, at)
        kind, _, seconds, size = struct.unpack_from("!HHIH", packet, at)
        records.append((name, kind, seconds))
        at += 10 + size
    return records


class Ear:
    """Hears all packets on the network of `node` until the end of the block: `packets` are (address of the sender, packet)."""

    def __init__(self, node):
        self.socket = _socket(node)
        self.packets = []
        self.is_over = False
        self.thread = threading.Thread(target=self._hear, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over = True
        self.thread.join()
        self.socket.close()

    def _hear(self):
        while not self.is_over:
            with contextlib.suppress(TimeoutError):
                packet, (address, _) = self.socket.recvfrom(9000)
                self.packets.append((address, packet))

    def lives(self, address):
        """The times to live with which that machine has told of its service, in order; 0 is a goodbye."""
        return [
            seconds
            for sender, packet in self.packets
            if sender == address
            for name, kind, seconds in records_of(packet)
            if name == SERVICE and kind == TYPE_PTR
        ]


def _name(text):
    return b"".join(bytes([len(label)]) + label for label in (part.encode() for part in text.split("."))) + b"\0"


def _record(name, kind, data, cls=CLASS_UNIQUE):
    return _name(name) + struct.pack("!HHIH", kind, cls, 120, len(data)) + data


class Mouth:
    """Says over and over, from `node` and until the end of the block, that there is a service: the TXT record's strings are bytes."""

    def __init__(self, node, label, address, port, strings):
        instance, host = f"{label}.{SERVICE}", f"{label}-host.local"
        txt = b"".join(bytes([len(string)]) + string for string in strings) or b"\0"
        self.packet = struct.pack("!6H", 0, 0x8400, 0, 4, 0, 0) + b"".join((
            _record(SERVICE, TYPE_PTR, _name(instance), CLASS_IN),
            _record(instance, TYPE_SRV, struct.pack("!3H", 0, 0, port) + _name(host)),
            _record(instance, TYPE_TXT, txt),
            _record(host, TYPE_A, socket.inet_aton(address)),
        ))
        self.socket = _socket(node)
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self._say, daemon=True)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.is_over.set()
        self.thread.join()
        self.socket.close()

    def _say(self):
        while not self.is_over.is_set():
            self.socket.sendto(self.packet, (GROUP, PORT))
            self.is_over.wait(REPEAT_SECONDS)


def shout(node, packets):
    """Says these packets from that machine, as they are, one after the other."""
    with contextlib.closing(_socket(node)) as mouth:
        for packet in packets:
            mouth.sendto(packet, (GROUP, PORT))

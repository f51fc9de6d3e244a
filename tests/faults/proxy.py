"""The network between a worker and PostgreSQL, which the test can cut. Linux only: a socket filter loses what comes
in, so both ends see what they would see of a cable that was pulled: no answer, and no end either."""

import contextlib
import ctypes
import socket
import struct
import threading

from mqsite.stack import ports

# <asm/socket.h>; not in Python's module.
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
LOSE_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0 bytes
PROGRAM = struct.pack("HL", 1, ctypes.addressof(LOSE_ALL))
CHUNK_BYTES = 65_536
CONNECT_SECONDS = 10


class Link:
    """One connection: its two sockets, and whether answers go through."""

    def __init__(self, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.answers = threading.Event()
        self.answers.set()
        self.port = server.getsockname()[1]  # as the server's `client_port` says

    def start(self) -> None:
        for source, sink in ((self.client, self.server), (self.server, self.client)):
            threading.Thread(target=self._pump, args=(source, sink), daemon=True).start()

    def close(self) -> None:
        """Whatever was not passed on yet is lost."""
        for end in (self.client, self.server):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(CHUNK_BYTES):
                if source is self.server:
                    self.answers.wait()
                sink.sendall(chunk)
        self.close()


class Proxy:
    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.listener = socket.create_server((ports.LOOPBACK, 0))
        self.port = self.listener.getsockname()[1]
        self.links: list[Link] = []
        threading.Thread(target=self._accept, daemon=True).start()

    def hold_answers(self, port: int) -> None:
        """Of the connection that the server knows by this `client_port`."""
        self._link(port).answers.clear()

    def pass_answers(self, port: int) -> None:
        self._link(port).answers.set()

    def drop(self, port: int) -> None:
        """End the connection, and lose the answers that were held."""
        self._link(port).close()

    def cut(self) -> None:
        """From now on nothing arrives, neither side is told, and nobody gets through anew."""
        for end in [self.listener, *(end for link in self.links for end in (link.client, link.server))]:
            with contextlib.suppress(OSError):  # closed
                end.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, PROGRAM)

    def mend(self) -> None:
        """New connections get through. The old ones stay lost, as when a firewall has forgotten them."""
        self.listener.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        for link in self.links:
            link.close()
            link.answers.set()

    def _link(self, port: int) -> Link:
        return next(link for link in reversed(self.links) if link.port == port)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            try:
                server = socket.create_connection((ports.LOOPBACK, self.target_port), CONNECT_SECONDS)
            except OSError:
                client.close()  # the server is away
                continue
            for end in (client, server):
                end.settimeout(None)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            link = Link(client, server)
            self.links.append(link)
            link.start()

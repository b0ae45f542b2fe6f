from __future__ import annotations

import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from tests.faults.figures import Faults
from tests.faults.tools.proxy import FaultProxy, Line


@pytest.fixture
def echo() -> Iterator[int]:
    """Give the port of a server that returns what it gets."""
    with echo_server() as port:
        yield port


class _Echo(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with suppress(ConnectionError):
            while data := self.request.recv(65536):
                self.request.sendall(data)


@contextmanager
def echo_server() -> Iterator[int]:
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Echo) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
            thread.join()


def say(proxy: FaultProxy, data: bytes, timeout: float = 5) -> tuple[bytes, str]:
    """Send `data`, and return what came back and how the connection ended."""
    got = b""
    try:
        with socket.create_connection((proxy.host, proxy.port), timeout=timeout) as line:
            line.sendall(data)
            while len(got) < len(data):
                piece = line.recv(65536)
                if not piece:
                    return got, "closed"
                got += piece
    except ConnectionRefusedError:
        raise
    except ConnectionError:  # connect() itself may already see the reset
        return got, "reset"
    except TimeoutError:
        return got, "silent"
    return got, "whole"


def test_a_clear_line_passes_every_byte_both_ways(echo: int):
    with FaultProxy("127.0.0.1", echo) as proxy:
        body = bytes(range(256)) * 4000

        assert say(proxy, body) == (body, "whole")
        until = time.monotonic() + 10  # the proxy's own thread counts, perhaps after the last byte has arrived
        while proxy.seen.to_client < len(body) and time.monotonic() < until:
            time.sleep(0.001)
        assert (proxy.seen.to_server, proxy.seen.to_client) == (len(body), len(body))


def test_a_reply_can_be_cut_after_n_bytes(echo: int):
    with FaultProxy("127.0.0.1", echo) as proxy:
        proxy.fault(to_client=Line(cut=7))

        assert say(proxy, b"0123456789") == (b"0123456", "closed")


def test_a_reply_can_come_twice(echo: int):
    with FaultProxy("127.0.0.1", echo) as proxy:
        proxy.fault(to_client=Line(twice=True))

        with socket.create_connection((proxy.host, proxy.port), timeout=5) as line:
            line.sendall(b"once")
            line.shutdown(socket.SHUT_WR)

            assert line.makefile("rb").read() == b"onceonce"
    assert proxy.seen.twice == 1


def test_a_request_can_be_cut_before_the_server_has_it_whole(echo: int):
    with FaultProxy("127.0.0.1", echo) as proxy:
        proxy.fault(to_server=Line(cut=4))

        got, end = say(proxy, b"0123456789")

        assert (b"0123".startswith(got), end) == (True, "closed")
        assert proxy.seen.to_server == 4


def test_a_connection_can_be_reset(echo: int):
    with FaultProxy("127.0.0.1", echo) as proxy:
        proxy.fault(to_client=Line(reset=0))

        assert say(proxy, b"hello") == (b"", "reset")


def test_what_follows_a_blackhole_vanishes_while_the_connection_stays_open(echo: int):
    with FaultProxy("127.0.0.1", echo) as proxy:
        proxy.fault(to_client=Line(blackhole=2))

        assert say(proxy, b"hello", timeout=0.2) == (b"he", "silent")


def test_a_refused_port_stays_refused_until_it_is_healed(echo: int):
    with FaultProxy("127.0.0.1", echo) as proxy:
        proxy.refuse()
        with pytest.raises(ConnectionRefusedError):
            say(proxy, b"hello")

        proxy.heal()

        assert say(proxy, b"hello") == (b"hello", "whole")


def test_sever_resets_the_connections_that_are_open(echo: int):
    with (
        FaultProxy("127.0.0.1", echo) as proxy,
        socket.create_connection((proxy.host, proxy.port), timeout=5) as line,
    ):
        line.sendall(b"hello")
        assert line.recv(5) == b"hello"

        proxy.sever()

        with pytest.raises(ConnectionResetError):
            line.recv(1)


def test_a_slow_line_takes_at_least_its_latency_and_its_rate(echo: int):
    with FaultProxy("127.0.0.1", echo) as proxy:
        proxy.fault(to_server=Line(latency=0.05), to_client=Line(rate=10_000))
        begin = time.monotonic()

        assert say(proxy, bytes(1000))[1] == "whole"

        # A lower bound: a loaded machine makes it longer, never shorter.
        assert time.monotonic() - begin >= 0.05 + 0.1


def test_the_server_being_down_is_a_reset_not_a_hang():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        with FaultProxy("127.0.0.1", free.getsockname()[1]) as proxy:
            assert say(proxy, b"hello")[1] in ("reset", "closed")


def test_the_same_seed_breaks_the_line_at_the_same_bytes(echo: int, faults: Faults):
    figure = faults.figure("proxy-same-seed", "house", "TCP line broken again at the same byte for the same seed")

    def breaks(seed: int) -> list[tuple[bytes, str]]:
        with FaultProxy("127.0.0.1", echo, seed=seed) as proxy:
            proxy.fault(to_client=Line(cut=(0, 60)))
            return [say(proxy, bytes(range(64))) for _ in range(faults.count(200))]

    first, second, other = breaks(7), breaks(7), breaks(8)

    for one, two in zip(first, second, strict=True):
        figure.survives(None if one == two else f"{one} then {two}")
    assert figure.lost == 0
    assert first != other
    assert len({len(got) for got, _ in first}) > 1


@contextmanager
def ledger(known: list[str]) -> Iterator[int]:
    """Give the port of a server that adds each line it gets to `known` and answers ``done``.

    A line that begins with ``id=`` is added once, however often it comes.
    """
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                line, _ = listener.accept()
                try:
                    with line, line.makefile("rb") as file:
                        text = file.readline().decode()
                        if text == "stop\n":
                            return
                        if text.endswith("\n") and not (text.startswith("id=") and text in known):
                            known.append(text)
                        line.sendall(b"done\n")
                except ConnectionError:
                    continue

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            with socket.create_connection(listener.getsockname()) as line:
                line.sendall(b"stop\n")
            thread.join()


def add(proxy: FaultProxy, text: str) -> None:
    """Send `text` again and again until it is acknowledged, as any client that retries does."""
    for _ in range(50):
        try:
            with socket.create_connection((proxy.host, proxy.port), timeout=5) as line:
                line.sendall(text.encode() + b"\n")
                if line.makefile("rb").readline() == b"done\n":
                    return
        except ConnectionError:
            continue
    raise AssertionError("never acknowledged")


@pytest.mark.parametrize("with_id", [True, False], ids=["with an id", "without an id"])
def test_a_reply_that_is_lost_makes_a_retry_count_twice_unless_it_carries_an_id(with_id: bool, faults: Faults):
    count = faults.count(200) if with_id else 40
    known: list[str] = []

    with ledger(known) as port, FaultProxy("127.0.0.1", port, seed=3) as proxy:
        proxy.fault(to_server=Line(reset=(0, 60)), to_client=Line(reset=(0, 9)))
        for number in range(count):
            add(proxy, f"id={number}" if with_id else f"{number}")

    doubled = len(known) - len(set(known))
    if with_id:
        figure = faults.figure("retry-with-id", "house", "write retried over a line that is reset, with a client's id")
        for number in range(count):
            figure.survives(None if known.count(f"id={number}\n") == 1 else f"{number} is not there once")
        assert figure.lost == 0
    else:
        assert doubled > 0

"""A package on a web server is inspected by the bytes at its head."""

import contextlib
import http.server
import random
import threading

import pytest

import veda


@pytest.fixture
def web(tmp_path):
    """Serve the working folder, with or without ranges, and count the bytes that were asked for."""
    sent = []

    class Handler(http.server.SimpleHTTPRequestHandler):
        ranges = True

        def __init__(self, *args):
            super().__init__(*args, directory=tmp_path)

        def do_GET(self):
            path = tmp_path / self.path.lstrip("/")
            if not path.is_file():
                self.send_error(404)
                return
            data = path.read_bytes()
            first, last = map(int, self.headers["Range"].removeprefix("bytes=").split("-"))
            part = data[first : last + 1] if self.ranges else data
            self.send_response(206 if self.ranges else 200)
            self.send_header("Content-Length", str(len(part)))
            self.end_headers()
            sent.append(len(part))
            with contextlib.suppress(OSError):  # the reader has what it wanted
                self.wfile.write(part)

        def log_message(self, *_): ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", sent, Handler
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def big(workspace, tmp_path):
    noise = random.Random(8)
    files = {f"data/{n}.bin": noise.randbytes(4 << 20) for n in range(4)}
    return veda.pack(workspace(**files), tmp_path / "big.vedapkg")


def test_one_request_for_the_head_says_what_a_large_package_is(web, big):
    url, sent, _ = web

    facts = veda.inspect(f"{url}/big.vedapkg", files=True)

    assert (facts["digest"], len(facts["files"])) == (big.digest, len(big.manifest.files))
    assert len(sent) == 1
    assert sent[0] <= 2 << 20 < big.path.stat().st_size


def test_a_server_that_knows_no_ranges_is_read_no_further_than_need_be(web, big):
    url, _, handler = web
    handler.ranges = False

    assert veda.inspect(f"{url}/big.vedapkg")["digest"] == big.digest


def test_what_is_no_package_is_refused(web, big, tmp_path):
    url, _, _ = web
    (tmp_path / "other.vedapkg").write_bytes(b"<html>not here</html>" * 10)
    damaged = bytearray(big.path.read_bytes()[: 1 << 20])
    damaged[200] ^= 1
    (tmp_path / "damaged.vedapkg").write_bytes(damaged)

    for name, reason in (("other", "not-an-archive"), ("damaged", "member-damaged")):
        with pytest.raises(veda.ArchiveRefused) as caught:
            veda.inspect(f"{url}/{name}.vedapkg")
        assert caught.value.reason == reason
    with pytest.raises(veda.NotFound):
        veda.inspect(f"{url}/none.vedapkg")


def test_a_server_that_is_down_is_unavailable():
    with pytest.raises(veda.BackendUnavailable):
        veda.inspect("http://127.0.0.1:1/big.vedapkg")

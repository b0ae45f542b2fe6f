"""SeaweedFS, which stands in for MinIO: one bucket ``jiyuan``, one key, S3 only."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server

KEY, SECRET = "jiyuan", "jiyuan-on-loopback"


class Seaweedfs(Server):
    word = "seaweedfs"
    stop_signal = signal.SIGKILL  # on SIGTERM it waits half a minute for streams between its own parts
    port_names = ("s3", "s3_grpc", "master", "master_grpc", "volume", "volume_grpc", "filer", "filer_grpc")

    def prepare(self) -> None:
        actions = ["Admin", "Read", "Write", "List", "Tagging"]
        credentials = [{"accessKey": KEY, "secretKey": SECRET}]
        config = {"identities": [{"name": "jiyuan", "credentials": credentials, "actions": actions}]}
        (self.folder / "s3.json").write_text(json.dumps(config))
        (self.folder / "data").mkdir()

    def command(self) -> Sequence[str | Path]:
        at = self.ports
        return [
            *(self.program, "server", f"-dir={self.folder / 'data'}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"),
            *(f"-master.port={at['master']}", f"-master.port.grpc={at['master_grpc']}", "-master.telemetry=false"),
            # The default election lasts 10 s, and a volume that is refused until then asks again only 5 s later.
            *("-master.electionTimeout=500ms", "-master.heartbeatInterval=100ms"),
            *(f"-volume.port={at['volume']}", f"-volume.port.grpc={at['volume_grpc']}"),
            # A collection takes several volumes at once; the default size would ask for 30 GB each.
            *("-volume.max=50", "-master.volumeSizeLimitMB=64", "-volume.minFreeSpace=0"),
            *("-filer", f"-filer.port={at['filer']}", f"-filer.port.grpc={at['filer_grpc']}"),
            *("-s3", f"-s3.port={at['s3']}", f"-s3.port.grpc={at['s3_grpc']}", f"-s3.config={self.folder / 's3.json'}"),
            # Without a 0 each they listen on fixed ports, and a second server ends at once.
            *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        ]

    def ping(self) -> None:
        # The S3 port answers before a volume can be written; the master says when one can be.
        if "fid" not in wire.json_get(self.ports["master"], "/dir/assign"):
            raise wire.NotReady("no writable volume yet")
        wire.http(self.ports["filer"], "POST", "/buckets/jiyuan/", ok=(201, 409))
        wire.http_get(self.port, "/", ok=(200, 403))

    def clean(self) -> None:
        # It has its parts talk over sockets in /tmp, whatever TMPDIR says, and forgets them when it is killed.
        for port in self.ports.values():
            for stale in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                stale.unlink(missing_ok=True)

    def url(self, variable: str) -> str:
        return f"minio://{KEY}:{SECRET}@127.0.0.1:{self.port}/jiyuan?secure=false"

"""Contract suites: what each adapter must keep, ours and anybody's. They need pytest."""

from exia.testing.blobs import BlobsContract
from exia.testing.monitor import MonitorContract
from exia.testing.objects import ObjectsContract
from exia.testing.params import ParamsContract
from exia.testing.runs import RunsContract

__all__ = ["BlobsContract", "MonitorContract", "ObjectsContract", "ParamsContract", "RunsContract"]

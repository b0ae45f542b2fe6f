"""ClickHouse 18.16 as Debian has it: user ``default``, native protocol and HTTP."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from tests.services import wire
from tests.services.process import Server

_CONFIG = """<?xml version="1.0"?>
<yandex>
  <logger><level>warning</level><console>1</console></logger>
  <listen_host>127.0.0.1</listen_host>
  <tcp_port>{native}</tcp_port>
  <http_port>{http}</http_port>
  <path>{data}/</path>
  <tmp_path>{data}/tmp/</tmp_path>
  <user_files_path>{data}/user_files/</user_files_path>
  <format_schema_path>{data}/format_schemas/</format_schema_path>
  <users_config>{users}</users_config>
  <default_profile>default</default_profile>
  <default_database>default</default_database>
  <timezone>UTC</timezone>
  <max_connections>256</max_connections>
  <mark_cache_size>67108864</mark_cache_size>
  <uncompressed_cache_size>67108864</uncompressed_cache_size>
</yandex>
"""

_USERS = """<?xml version="1.0"?>
<yandex>
  <profiles><default><max_memory_usage>1000000000</max_memory_usage><max_threads>2</max_threads></default></profiles>
  <users>
    <default>
      <password></password>
      <networks><ip>127.0.0.1</ip></networks>
      <profile>default</profile>
      <quota>default</quota>
    </default>
  </users>
  <quotas><default></default></quotas>
</yandex>
"""


class Clickhouse(Server):
    word = "clickhouse"
    port_names = ("native", "http")

    def prepare(self) -> None:
        users = self.folder / "users.xml"
        users.write_text(_USERS)
        config = _CONFIG.format(data=self.folder / "data", users=users, **self.ports)
        (self.folder / "config.xml").write_text(config)
        (self.folder / "data").mkdir()

    def command(self) -> Sequence[str | Path]:
        return [self.program, f"--config-file={self.folder / 'config.xml'}"]

    def ping(self) -> None:
        wire.http_get(self.ports["http"], "/ping")

    def url(self, variable: str) -> str:
        return f"clickhouse://default@127.0.0.1:{self.ports['native']}/default"

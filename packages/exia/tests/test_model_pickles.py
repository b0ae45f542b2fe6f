from __future__ import annotations

from datetime import date
from pathlib import Path

import numpy as np
import pytest

import exia.models
from exia.errors import (
    BadInput,
    Damaged,
    NotAllowed,
)
from exia.models.formats import open_format


class TestPickle:
    def test_it_is_off_by_default(self):
        with pytest.raises(NotAllowed, match="switched off"):
            exia.models.save("momentum", date(2026, 1, 2), format="pickle")
        assert exia.models.names() == []

    def test_what_the_configuration_lists_loads(self, monkeypatch):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime:date")

        exia.models.save("momentum", {"day": date(2026, 1, 2)}, format="pickle")

        assert exia.models.load("momentum") == {"day": date(2026, 1, 2)}

    def test_what_it_does_not_list_is_refused_at_save_and_at_load(self, monkeypatch):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime:date collections:OrderedDict")
        exia.models.save("momentum", date(2026, 1, 2), format="pickle")
        monkeypatch.setenv("EXIA_UNPICKLE", "collections:OrderedDict")

        with pytest.raises(NotAllowed, match="datetime:date"):
            exia.models.load("momentum")
        with pytest.raises(NotAllowed, match="datetime:date"):
            exia.models.save("momentum", date(2026, 1, 2), format="pickle")

    def test_it_is_never_chosen(self, monkeypatch):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime:date")

        with pytest.raises(BadInput, match="neither a mapping of arrays nor JSON"):
            exia.models.save("momentum", date(2026, 1, 2))

    @pytest.mark.parametrize(
        "payload",
        [
            b"cos\nsystem\n(S'touch pwned'\ntR.",
            b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x0btouch pwned\x85R.",
            b"\x80\x04\x8c\x08datetime\x8c\x0edate.__class__\x93.",
            b"cimportlib\nimport_module\n(S'os'\ntR.",
            b"\x80\x02cbuiltins\neval\nX\x01\x00\x00\x001\x85R.",
            b"\x80\x04\x82\x01.",
        ],
    )
    def test_a_payload_runs_nothing(self, monkeypatch, payload):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime:date")

        with pytest.raises((NotAllowed, Damaged)):
            open_format("pickle").load(payload)
        assert not Path("pwned").exists()

    def test_a_list_that_says_nothing_is_refused(self, monkeypatch):
        monkeypatch.setenv("EXIA_UNPICKLE", "datetime.date")

        with pytest.raises(BadInput, match=r"datetime\.date"):
            exia.models.save("momentum", 1, format="pickle")

    def test_arrays_in_a_pickle_are_read_only_too(self, monkeypatch):
        kinds = "numpy:ndarray numpy:dtype numpy._core.multiarray:_reconstruct numpy._core.numeric:_frombuffer"
        monkeypatch.setenv("EXIA_UNPICKLE", kinds)
        exia.models.save("momentum", {"w": [np.zeros(2)]}, format="pickle")

        with pytest.raises(ValueError, match="read-only"):
            exia.models.load("momentum")["w"][0][0] = 1

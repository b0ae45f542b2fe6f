"""Channels: a signed list of releases, such as ``stable``, that moves from one state to the next.

A pointer says its channel, a sequence number that only grows, and when it expires. So whoever
holds the store can neither bring back an older state, nor hold clients at one for ever, nor put
together releases that never stood together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from veda._house.files import write_durably
from veda.claims import Claim, put_event
from veda.errors import BadInput, Conflict, NotFound, Untrusted
from veda.keys import (
    check_release,
    check_signature,
    must_be_signed,
    owner,
    sign_release,
    signing_key,
    trust,
    trusted,
)
from veda.manifest import canonical_json
from veda.names import Ref, normalise_tag
from veda.registry.port import Event, now
from veda.settings import home as home_folder
from veda.settings import store_url
from veda.signatures import CHANNEL, sign
from veda.store import Store, open_store

EXPIRES = 30.0  #: Days for which a pointer is good unless somebody says otherwise.
_TYPE = "veda-channel-1"


@dataclass(frozen=True)
class Pointed:
    """A release in a channel: its version, the identity of its content, and its manifest."""

    version: str
    digest: str
    manifest: str


@dataclass(frozen=True)
class Channel:
    """A verified state of a channel; times are ISO 8601 in UTC."""

    name: str
    sequence: int
    moved_at: str
    expires_at: str
    releases: Mapping[str, Pointed]
    signed_by: str = ""


def read_channel(name: str, store: Store, url: str | None = None, *, home: Path | str | None = None) -> Channel:
    """Return the state of a channel in a store, and remember it, so that an older one is refused from now on.

    Raises
    ------
    NotFound
        If the store has no such channel.
    Untrusted
        If the pointer is unsigned, signed by a key that may not move this channel, of another
        channel, older than one that was seen, or expired.
    """
    return _read(normalise_tag(name), store, str(store_url(url, home)), home)[0]


def promote(
    refs: str | Sequence[str],
    to: str,
    *,
    from_: str | None = None,
    endorse: bool = False,
    store: str | None = None,
    expires: float = EXPIRES,
    home: Path | str | None = None,
) -> Channel:
    """Put releases into the channel `to`, all in one move, and return the channel's new state.

    Parameters
    ----------
    refs
        Releases of the store, one or many; only their names matter where `from_` is given, and none
        at all means every release of that channel.
    from_
        Take the releases that this channel names.
    endorse
        Sign each release too, beside its author: then who trusts your key needs no author's.
    expires
        Days after which clients refuse the channel unless it is moved or renewed.

    Raises
    ------
    Untrusted
        If a release is not signed by somebody trusted, or the channel is not ours to move.
    Conflict
        If others kept moving the channel.
    """
    wanted = [Ref.parse(ref) for ref in ([refs] if isinstance(refs, str) else refs)]
    shown, to = str(store_url(store, home)), normalise_tag(to)
    with open_store(store, home=home) as opened:
        there = _read(normalise_tag(from_), opened, shown, home)[0].releases if from_ else None
        if not wanted and not there:
            what = f"channel {from_} names no release" if from_ else "no release is named"
            raise BadInput(what, hint=f"veda channel promote REF --to {to}")
        moved: dict[str, Pointed] = {}
        for ref in wanted or [Ref(name) for name in there or {}]:
            moved[ref.name] = _candidate(ref, there, from_, opened, home)
        if endorse and (key := signing_key(home)) is not None:
            for pointed in moved.values():  # before the channel names them: a reader finds both
                sign_release(opened, pointed.manifest, key)
        channel = _move(to, moved, opened, shown, expires, home)
        for name, pointed in moved.items():
            data = {"digest": pointed.digest, "sequence": channel.sequence}
            put_event(opened, Event("promoted", name, pointed.version, channel.name, owner(), data))
    return channel


def withdraw(
    names: str | Sequence[str],
    from_: str,
    *,
    store: str | None = None,
    expires: float = EXPIRES,
    home: Path | str | None = None,
) -> Channel:
    """Take packages out of a channel and return the channel's new state; who pulled them keeps them.

    Raises
    ------
    NotFound
        If the channel does not name one of them.
    Untrusted, Conflict
        As `promote` raises them.
    """
    going = [Ref.parse(name).name for name in ([names] if isinstance(names, str) else names)]
    shown, from_ = str(store_url(store, home)), normalise_tag(from_)
    with open_store(store, home=home) as opened:
        present = _read(from_, opened, shown, home, expired=True)[0].releases
        for name in going:
            if name not in present:
                raise NotFound(f"channel {from_} has no {name}", hint=f"veda channel show {from_}")
        channel = _move(from_, dict.fromkeys(going), opened, shown, expires, home)
        for name in going:
            data = {"digest": present[name].digest, "sequence": channel.sequence}
            put_event(opened, Event("withdrawn", name, present[name].version, from_, owner(), data))
    return channel


def renew(name: str, *, store: str | None = None, expires: float = EXPIRES, home: Path | str | None = None) -> Channel:
    """Sign a channel again as it is, so that it expires `expires` days from now."""
    with open_store(store, home=home) as opened:
        name, shown = normalise_tag(name), str(store_url(store, home))
        _read(name, opened, shown, home, expired=True)
        return _move(name, {}, opened, shown, expires, home)


def channel_names(store: Store) -> list[str]:
    """Return the names of a store's channels, sorted."""
    return [e.key.removeprefix("channels/") for e in store.list("channels/")]


def _candidate(
    ref: Ref, there: Mapping[str, Pointed] | None, from_: str | None, store: Store, home: Path | str | None
) -> Pointed:
    """Return what a channel will say of `ref`, once the store shows that it is so, and who has signed it."""
    from veda.remote import find_in_store

    if there is not None and ref.name not in there:
        raise NotFound(f"channel {from_} has no {ref.name}", hint=f"veda channel show {from_}")
    version = there[ref.name].version if there is not None else find_in_store(ref, store)
    claim = Claim.parse(store.get_claim(ref.name, version))
    pointed = Pointed(version, claim.digest, claim.manifest)
    if there is not None and there[ref.name] != pointed:
        raise Untrusted(f"{ref.name}@{version} in the store is not what channel {from_} names")
    if must_be_signed(store, home):
        check_release(store, claim.manifest, f"{ref.name}@{version}", home=home)
    return pointed


def _move(
    name: str, change: Mapping[str, Pointed | None], store: Store, shown: str, expires: float, home: Path | str | None
) -> Channel:
    if not 0 < expires <= 3650:
        raise BadInput(f"a channel cannot expire in {expires:g} days", hint="--expires 30")
    key = signing_key(home)
    assert key is not None
    assert key.private is not None
    for _ in range(20):
        try:
            # An expired pointer may be moved on: that is how a channel comes back.
            present, mark = _read(name, store, shown, home, expired=True)
            sequence, after = present.sequence + 1, {**present.releases, **change}
        except NotFound:
            mark, sequence, after = None, _seen(home, shown, name)[0] + 1, dict(change)
            trust(owner(), str(key.public), channel=name, home=home)  # whoever makes a channel may move it
        if not any(k.public == key.public and k.channel == name and not k.revoked for k in trusted(home)):
            raise Untrusted(
                f"your key {key.public.fingerprint} may not move channel {name}, so nobody would believe it",
                hint=f"veda key trust NAME KEY --channel {name}, on every machine that reads the channel",
            )
        ends = (datetime.now(UTC) + timedelta(days=expires)).isoformat(timespec="seconds")
        pointer = {
            "type": _TYPE,
            "channel": name,
            "sequence": sequence,
            "moved_at": now(),
            "expires_at": ends,
            "releases": {n: asdict(r) for n, r in sorted(after.items()) if r is not None},
        }
        document = {"pointer": pointer, "signature": sign(canonical_json(pointer), CHANNEL, key.private)}
        if store.replace(f"channels/{name}", canonical_json(document), mark):
            return _read(name, store, shown, home)[0]
    raise Conflict(f"others keep moving channel {name}", hint="try again")


def _read(
    name: str, store: Store, shown: str, home: Path | str | None, *, expired: bool = False
) -> tuple[Channel, str]:
    # Looked up before the store is read: another process here may see a newer state meanwhile.
    sequence, digest = _seen(home, shown, name)
    try:
        data, mark = store.read(f"channels/{name}")
    except NotFound:
        known = ", ".join(channel_names(store)) or "none"
        raise NotFound(
            f"the store has no channel {name}; its channels: {known}", hint=f"veda channel promote REF --to {name}"
        ) from None
    pointer, signature = _parse(name, data)
    key = check_signature(signature, canonical_json(pointer), channel=name, home=home)
    channel = _channel(name, pointer, key.name)
    said = hashlib.sha256(canonical_json(pointer)).hexdigest()
    if channel.sequence < sequence or (channel.sequence == sequence and said != digest):
        raise Untrusted(
            f"channel {name} is at {channel.sequence} in the store, but it was at {sequence} before: this is an older "
            "state" + (" or another one of the same number" if channel.sequence == sequence else ""),
            hint="ask whoever runs the store",
        )
    if not expired and datetime.fromisoformat(channel.expires_at) <= datetime.now(UTC):
        raise Untrusted(
            f"channel {name} expired at {channel.expires_at}: what the store shows may be an old state",
            hint=f"whoever keeps the channel: veda channel renew {name}",
        )
    if channel.sequence > _seen(home, shown, name)[0]:
        write_durably(_seen_file(home, shown, name), canonical_json({"sequence": channel.sequence, "digest": said}))
    return channel, mark


def _parse(name: str, data: bytes) -> tuple[dict[str, Any], str]:
    try:
        document = json.loads(data)
        pointer, signature = document["pointer"], document["signature"]
        if isinstance(pointer, dict) and isinstance(signature, str):
            return pointer, signature
    except (ValueError, KeyError, TypeError, RecursionError):
        pass
    raise Untrusted(f"channel {name} in the store cannot be read")


def _channel(name: str, pointer: Mapping[str, Any], signed_by: str) -> Channel:
    if pointer.get("type") != _TYPE or pointer.get("channel") != name:
        raise Untrusted(f"the store gave the pointer of {str(pointer.get('channel'))[:60]!r} for channel {name}")
    try:
        releases = {str(n): Pointed(**r) for n, r in pointer["releases"].items()}
        datetime.fromisoformat(pointer["expires_at"]).astimezone(UTC)
        return Channel(name, int(pointer["sequence"]), pointer["moved_at"], pointer["expires_at"], releases, signed_by)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise Untrusted(f"channel {name} in the store cannot be read") from None


def _seen(home: Path | str | None, shown: str, name: str) -> tuple[int, str]:
    """Return the sequence number and the digest of the newest pointer that was seen, 0 if none was."""
    try:
        seen = json.loads(_seen_file(home, shown, name).read_bytes())
        return int(seen["sequence"]), str(seen["digest"])
    except FileNotFoundError:
        return 0, ""


def _seen_file(home: Path | str | None, shown: str, name: str) -> Path:
    store = hashlib.sha256(shown.encode()).hexdigest()[:16]
    return home_folder(home) / "channels" / store / f"{name}.json"

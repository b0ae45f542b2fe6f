"""Channels: a signed list of releases, such as ``stable``, that moves from one state to the next.

A pointer says its channel, a sequence number that only grows, and when it expires. So whoever
holds the store can neither bring back an older state, nor hold clients at one for ever, nor put
together releases that never stood together.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from veda._house.files import write_durably
from veda.claims import Claim, put_event
from veda.errors import BadInput, Conflict, NotFound, Untrusted
from veda.keys import check_release, check_signature, must_be_signed, owner, signing_key, trust, trusted
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
    ref: str,
    to: str,
    *,
    from_: str | None = None,
    store: str | None = None,
    expires: float = EXPIRES,
    home: Path | str | None = None,
) -> Channel:
    """Put a release into the channel `to` and return the channel's new state.

    Parameters
    ----------
    ref
        A release of the store; only its name matters where `from_` is given.
    from_
        Take the release that this channel names.
    expires
        Days after which clients refuse the channel unless it is moved or renewed.

    Raises
    ------
    Untrusted
        If the release is not signed by somebody trusted, or the channel is not ours to move.
    Conflict
        If others kept moving the channel.
    """
    from veda.remote import find_in_store

    wanted, shown = Ref.parse(ref), str(store_url(store, home))
    with open_store(store, home=home) as opened:
        if from_:
            there = _read(normalise_tag(from_), opened, shown, home)[0].releases.get(wanted.name)
            if there is None:
                raise NotFound(f"channel {from_} has no {wanted.name}", hint=f"veda channel show {from_}")
            version = there.version
        else:
            version, there = find_in_store(wanted, opened), None
        claim = Claim.parse(opened.get_claim(wanted.name, version))
        pointed = Pointed(version, claim.digest, claim.manifest)
        if there is not None and there != pointed:
            raise Untrusted(f"{wanted.name}@{version} in the store is not what channel {from_} names")
        if must_be_signed(opened, home):
            check_release(opened, claim.manifest, f"{wanted.name}@{version}", home=home)
        channel = _move(normalise_tag(to), {wanted.name: pointed}, opened, shown, expires, home)
        data = {"digest": claim.digest, "sequence": channel.sequence}
        put_event(opened, Event("promoted", wanted.name, version, channel.name, owner(), data))
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


def _move(
    name: str, change: Mapping[str, Pointed], store: Store, shown: str, expires: float, home: Path | str | None
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
            sequence, releases = present.sequence + 1, {**present.releases, **change}
        except NotFound:
            mark, sequence, releases = None, _seen(home, shown, name)[0] + 1, dict(change)
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
            "releases": {n: asdict(r) for n, r in sorted(releases.items())},
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

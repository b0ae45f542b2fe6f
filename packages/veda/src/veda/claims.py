"""What a store says of a version: who claimed it with which content, and what happened to it since."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from veda._house.ids import uuid7
from veda.chunks import pack_frame, unpack_frame
from veda.errors import ArchiveRefused, Damaged
from veda.manifest import MAX_MANIFEST, Manifest, canonical_json
from veda.names import is_version
from veda.registry.port import Event, Release, now
from veda.store import Store


@dataclass(frozen=True)
class Claim:
    """What a store knows of a version: the identity of its content and the blob of its manifest.

    Parameters
    ----------
    digest
        Identity of the content, ``sha256:...``.
    manifest
        Name of the manifest's blob, the SHA-256 of its bytes as they are stored.
    by, published_at
        Who claimed it, and when, ISO 8601 in UTC; empty where an older veda did.
    """

    digest: str
    manifest: str
    by: str = ""
    published_at: str = ""

    @classmethod
    def parse(cls, data: bytes) -> Claim:
        """Parse a claim; raise `ArchiveRefused` if it is none."""
        try:
            facts = json.loads(data)
            said = [facts.get(key, "") for key in ("by", "published_at")]
            claim = cls(facts["digest"], facts["manifest"], *said)
            valid = claim.digest.startswith("sha256:") and len(bytes.fromhex(claim.digest[7:] + claim.manifest)) == 64
            valid = valid and all(isinstance(text, str) and text.isprintable() for text in said)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            valid = False
        if not valid:
            raise ArchiveRefused("claim-damaged", "the store's entry of this version cannot be read")
        return claim

    def to_bytes(self) -> bytes:
        """Return what is claimed; a nonce makes each claim of its own."""
        return canonical_json({**asdict(self), "nonce": uuid7(), "published_at": self.published_at or now()})


def claimed(store: Store, name: str, version: str) -> tuple[str, str]:
    """Return digest and time of a claim; raise `NotFound` if there is none."""
    claim = Claim.parse(store.get_claim(name, version))
    return claim.digest, claim.published_at


def put_manifest(store: Store, manifest: Manifest) -> str:
    """Put a manifest into a store, as one zstd frame, and return the digest of its blob."""
    return store.put_blob(pack_frame(manifest.to_bytes()))


def read_manifest(store: Store, name: str, version: str, claim: Claim) -> Manifest:
    """Return the manifest of a claim; refuse one that speaks of another release."""
    stored = store.get_blob(claim.manifest, MAX_MANIFEST)
    manifest = Manifest.from_bytes(unpack_frame(stored, f"the manifest of {name}@{version}", MAX_MANIFEST))
    if (manifest.name, manifest.version, manifest.digest) != (name, version, claim.digest):
        raise ArchiveRefused("manifest-disagrees", f"the store gave something else for {name}@{version}")
    return manifest


def release_of(manifest: Manifest, published_at: str = "") -> Release:
    """Return what a registry keeps of a manifest."""
    return Release(manifest.name, manifest.version, manifest.digest, manifest.description(), published_at)


def package_names(store: Store) -> list[str]:
    """Return the names of the packages that a store has versions of, sorted."""
    return sorted({e.key.split("/")[1] for e in store.list("versions/") if e.key.count("/") == 2})


def versions(store: Store, name: str) -> list[str]:
    """Return the versions of a package; what is no version is passed over."""
    return [v for v in store.versions(name) if is_version(v)]


def put_event(store: Store, event: Event) -> None:
    """Write an event into the store, under its id: again changes nothing."""
    store.replace(f"events/{event.name}/{event.kind}/{event.id}", canonical_json(asdict(event)), None)


def stored_events(store: Store, name: str = "", kind: str = "") -> list[Event]:
    """Return the events of all packages, or of one, or those of one kind, in the order of their times."""
    prefix = "events/" + (f"{name}/" + (f"{kind}/" if kind else "") if name else "")
    events = [_event(store, entry.key) for entry in store.list(prefix)]
    return sorted((e for e in events if not kind or e.kind == kind), key=lambda e: (e.at, e.id))


def yanked_in(store: Store, name: str) -> dict[str, str]:
    """Return the versions that are yanked in the store, each with the reason."""
    events = stored_events(store, name, "yanked")
    if events:  # rare; without them the second question is not asked
        events = sorted([*events, *stored_events(store, name, "unyanked")], key=lambda e: (e.at, e.id))
    last = {e.version: e for e in events}
    return {v: str(e.data.get("reason", "")) for v, e in last.items() if e.kind == "yanked"}


def _event(store: Store, key: str) -> Event:
    try:
        event = Event(**json.loads(store.read(key)[0]))
        texts = (event.kind, event.name, event.version, event.subject, event.by, event.id, event.at)
        typed = all(isinstance(t, str) for t in texts) and isinstance(event.data, dict)
        if typed and key == f"events/{event.name}/{event.kind}/{event.id}":
            return event
    except (ValueError, TypeError, RecursionError):
        pass
    raise Damaged(f"the store's event {key} cannot be read", hint=f"remove {key} from the store")

"""``exia models``: save, find and compare models, and say which is in use."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import click

from exia._house.command import Group, dry_run_option, json_option, no_input_option, note, progress, yes_option
from exia._house.output import print_record, print_records
from exia.errors import BadInput
from exia.models import Keys, ModelInfo, Models, open_models
from exia.models.formats import FORMATS, open_format

_FACTS = ["version", "aliases", "format", "size", "saved", "who", "why", "tags"]
_MOVES = ["at", "alias", "previous", "version", "who", "why"]
_file = click.Path(path_type=Path)
why_option = click.option("--why", default="", metavar="TEXT", help="The reason, kept with it.")


@click.group(cls=Group, help="Save, find and compare models, and say which is in use.")
def models() -> None:
    pass


@models.command("list", epilog="Example: exia models list")
@json_option
def list_(as_json: bool) -> None:
    """List the models with their newest versions and aliases."""
    with open_models() as store:
        rows = [_row(store, name) for name in store.names()]
    print_records(rows, ["name", "version", "aliases"], as_json=as_json)


@models.command(epilog="Example: exia models save weights weights.json --alias champion")
@click.argument("name")
@click.argument("file", type=_file)
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag; may be given several times.")
@click.option("--alias", help="An alias that shall name the new version, such as champion.")
@why_option
@json_option
def save(name: str, file: Path, tags: tuple[str, ...], alias: str | None, why: str, as_json: bool) -> None:
    """Save FILE as the next version of NAME: .safetensors, .npz or .json, or a .pickle as an isolated model."""
    format = {".pickle": "isolated", ".pkl": "isolated"}.get(file.suffix, file.suffix.removeprefix("."))
    if format not in FORMATS or format == "pickle":
        raise BadInput(
            f"{file} is neither .safetensors nor .npz nor .json nor .pickle",
            hint="save other models from Python: exia.models.save",
        )
    parted = [tag.partition("=") for tag in tags]
    for key, equals, _ in parted:
        if not equals:
            raise BadInput(f"the tag {key!r} has no value", hint="write it as --tag desk=alpha")
    data = file.read_bytes()
    model = data if format == "isolated" else open_format(format).load(data)
    with open_models() as store:
        info = store.save(
            name, model, format=format, tags={key: value for key, _, value in parted}, alias=alias, why=why
        )
    _print(info, as_json=as_json)


@models.command(epilog="Example: exia models show weights@champion")
@click.argument("ref")
@json_option
def show(ref: str, as_json: bool) -> None:
    """Show one version, after its signature was checked."""
    with open_models() as store:
        info = store.info(ref)
    _print(info, as_json=as_json)


@models.command(epilog="Example: exia models verify weights@champion")
@click.argument("ref")
@json_option
def verify(ref: str, as_json: bool) -> None:
    """Check the signature, the hash and the format of one version by loading it."""
    with open_models() as store:
        info = store.info(ref)
        model = store.load(info.ref)
        if info.format == "isolated":
            model.__exit__()
    print_record({"ref": info.ref, "digest": info.digest, "state": "ok"}, as_json=as_json)


@models.command(epilog="Example: exia models versions weights")
@click.argument("name")
@json_option
def versions(name: str, as_json: bool) -> None:
    """List the versions of NAME, oldest first."""
    with open_models() as store:
        found, aliases = store.versions(name), store.family(name).aliases
    rows = [
        {**asdict(i), "aliases": [a for a, number in sorted(aliases.items()) if number == i.version]} for i in found
    ]
    print_records(rows, _FACTS, as_json=as_json)


@models.command(epilog="Example: exia models alias weights champion 2 --why 'better on June'")
@click.argument("name")
@click.argument("alias_name", metavar="ALIAS")
@click.argument("version")
@why_option
@json_option
def alias(name: str, alias_name: str, version: str, why: str, as_json: bool) -> None:
    """Let ALIAS of NAME name VERSION, a number or another alias; - takes it away."""
    with open_models() as store:
        move = store.alias(name, alias_name, None if version == "-" else version, why=why)
    print_record(asdict(move), as_json=as_json)


@models.command(epilog="Example: exia models rollback weights")
@click.argument("name")
@click.argument("alias_name", metavar="[ALIAS]", default="champion")
@click.option("--why", default="rollback", metavar="TEXT", help="The reason, kept with it.")
@json_option
def rollback(name: str, alias_name: str, why: str, as_json: bool) -> None:
    """Let ALIAS (champion) of NAME name the version that it named before."""
    with open_models() as store:
        move = store.rollback(name, alias_name, why=why)
    print_record(asdict(move), as_json=as_json)


@models.command(epilog="Example: exia models history weights")
@click.argument("name")
@click.option("--alias", help="Only the moves of this alias.")
@json_option
def history(name: str, alias: str | None, as_json: bool) -> None:
    """List every move of the aliases of NAME, newest first."""
    with open_models() as store:
        moves = store.history(name, alias)
    print_records([asdict(m) for m in moves], _MOVES, as_json=as_json)


@models.command(epilog="Example: exia models diff weights@1 weights@2")
@click.argument("one")
@click.argument("other")
@json_option
def diff(one: str, other: str, as_json: bool) -> None:
    """Show what differs between two models: facts, arrays and values."""
    with open_models() as store:
        found = store.diff(one, other)
    print_records([d._asdict() for d in found], ["field", "one", "other"], as_json=as_json)


@models.command(epilog="Example: exia models export weights@2 weights-2.zip")
@click.argument("ref")
@click.argument("file", type=_file)
@json_option
def export(ref: str, file: Path, as_json: bool) -> None:
    """Write a model with its signature to FILE, for `exia models import` elsewhere."""
    with open_models() as store:
        info = store.export(ref, file)
    _print(info, as_json=as_json)


@models.command("import", epilog="Example: exia models import weights-2.zip")
@click.argument("file", type=_file)
@json_option
def import_(file: Path, as_json: bool) -> None:
    """Take a model from FILE, if a trusted key has signed it."""
    with open_models() as store:
        info = store.import_(file)
    _print(info, as_json=as_json)


@models.command(epilog="Example: exia models remove weights@1 --yes")
@click.argument("ref")
@yes_option
@no_input_option
@dry_run_option
@json_option
def remove(ref: str, yes: bool, no_input: bool, dry_run: bool, as_json: bool) -> None:
    """Remove the version that REF names by its number; no alias may name it."""
    with open_models() as store:
        info = store.info(ref)
        if not dry_run:
            _confirm(f"Remove {info.ref}?", yes, no_input)
            info = store.remove(ref)
    print_record({"ref": info.ref, "digest": info.digest, "removed": not dry_run}, as_json=as_json)


@models.command(epilog="Example: exia models gc")
@click.option("--delete", is_flag=True, help="Delete them; without this they are only counted.")
@click.option(
    "--grace", type=click.FloatRange(0), default=3600.0, show_default=True, help="Spare what is younger, in seconds."
)
@yes_option
@no_input_option
@json_option
def gc(delete: bool, grace: float, yes: bool, no_input: bool, as_json: bool) -> None:
    """Count, and with --delete delete, the bytes that no version refers to."""
    with open_models() as store, progress("models") as tell:
        found = store.gc(dry_run=True, grace=grace, progress=tell)
        if delete and found.blobs:
            _confirm(f"Delete {found.blobs} blobs of {found.bytes} bytes?", yes, no_input)
            found = store.gc(dry_run=False, grace=grace, progress=tell)
    print_record(found._asdict(), as_json=as_json)
    if found.blobs and not delete:
        note("hint: exia models gc --delete")


@models.command(epilog="Example: exia models pack")
@json_option
def pack(as_json: bool) -> None:
    """Give the catalogue's unused space back to the disk; run it once a week, from cron or a timer."""
    with open_models() as store:
        packed = store.pack()
    print_record(packed._asdict(), as_json=as_json)


@models.command(epilog="Example: exia models key")
@json_option
def key(as_json: bool) -> None:
    """Print the public key that others must trust to load what is saved here."""
    keys = Keys.configured()
    if as_json:
        print_record({"fingerprint": keys.fingerprint(), "key": keys.public_key()}, as_json=True)
    else:
        print(keys.public_key(), end="")


@models.command(epilog="Example: exia models trust --list")
@click.argument("file", type=_file, required=False)
@click.option("--list", "listed", is_flag=True, help="List the keys that are trusted.")
@json_option
def trust(file: Path | None, listed: bool, as_json: bool) -> None:
    """Load what is signed by the public key in FILE from now on."""
    keys = Keys.configured()
    if file is not None and not listed:
        print_record({"trusted": keys.trust(file.read_bytes(), file.stem)}, as_json=as_json)
    elif listed and file is None:
        rows = [{"fingerprint": f, "file": name} for f, name in keys.trusted_fingerprints().items()]
        print_records(rows, ["fingerprint", "file"], as_json=as_json)
    else:
        raise BadInput("there is no key to trust", hint="exia models trust FILE, or exia models trust --list")


def _row(store: Models, name: str) -> dict[str, object]:
    found = store.family(name)
    return {"name": name, "version": max(found.numbers, default=None), "aliases": dict(sorted(found.aliases.items()))}


def _print(info: ModelInfo, *, as_json: bool) -> None:
    facts = {"ref": info.ref, **asdict(info)}
    print_record(facts if as_json else {k: v for k, v in facts.items() if v not in (None, "", {})}, as_json=as_json)


def _confirm(question: str, yes: bool, no_input: bool) -> None:
    if yes:
        return
    if no_input:
        raise BadInput(f"{question} nobody may be asked", hint="add --yes")
    click.confirm(question, abort=True, err=True)

"""What must not be recorded: secrets by the name that they stand under, by their form, and by what they are.

One set of rules holds for all that this process records, runs and events of the monitor; the setting ``hide`` adds
words to it and takes some away.
"""

from __future__ import annotations

import functools
import os
import re
import traceback
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from exia._house.config import load_config
from exia.settings import SETTINGS

#: A field whose name holds one of these words is hidden.
WORDS = (
    "password", "passwd", "pwd", "secret", "token", "api_key", "apikey", "authorization", "credential", "private_key",
    "access_key", "cookie", "passphrase",
)  # fmt: skip
HIDDEN = "[hidden]"
_FRAMES = 50
_SHORTEST = 6  # characters of a secret that is looked for everywhere: a shorter one is a part of too many words

_FORMS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), HIDDEN),
    # Up to the last @ before the path: people forget to write one in a password as %40.
    (re.compile(r"(?<=://)([^/\s:@'\"]*):[^/\s'\"]+@"), rf"\1:{HIDDEN}@"),
    (re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}", re.IGNORECASE), rf"\1 {HIDDEN}"),
    (re.compile(r"\beyJ[\w-]{8,}\.[\w-]+\.[\w-]*"), HIDDEN),  # a JSON web token
    (re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b"), HIDDEN),
    (re.compile(r"\b[a-z]{2,10}_[0-9a-f]{8}_[A-Za-z0-9]{43}_[0-9a-f]{8}\b"), HIDDEN),  # a token of one of our services
    (re.compile(r"\b(?:gh[opsru]_|github_pat_|glpat-|hf_|npm_|pypi-|sk-|xox[abprs]-|AIza)[\w-]{16,}"), HIDDEN),
)
_COUNTED = re.compile(r"tokens(?![a-z])", re.IGNORECASE)  # a number that is called so, such as max_tokens, is a count


class Redaction:
    """A set of rules.

    Parameters
    ----------
    words
        Further words that hide a field by its name, and a value behind ``name=`` or ``name:`` in a text; one with a
        ``-`` before it is taken away from `WORDS`.
    secrets
        Texts that are hidden wherever they stand, if they have six characters or more.
    """

    def __init__(self, words: Iterable[str] = (), secrets: Iterable[str] = ()) -> None:
        self._name, self._pair = _patterns(tuple(words))
        self._secrets: set[str] = set()
        self.learn(*secrets)

    def learn(self, *secrets: str) -> None:
        """Hide these texts too, wherever they stand."""
        self._secrets.update(secret for secret in secrets if len(secret.strip()) >= _SHORTEST)

    def hides(self, name: str, value: Any = "") -> bool:
        """Return whether the field `name` is hidden for its name."""
        if not self._name.search(name):
            return False
        return not (isinstance(value, int | float) and _COUNTED.search(name))

    def text(self, text: str) -> str:
        """Return `text` without what looks like a secret."""
        for secret in sorted(self._secrets, key=len, reverse=True):  # one may be a part of another
            text = text.replace(secret, HIDDEN)
        for pattern, instead in _FORMS:
            text = pattern.sub(instead, text)
        return self._pair.sub(lambda found: f"{found[1] or found[2]}{HIDDEN}", text)

    def value(self, name: str, value: Any) -> Any:
        """Return what may be recorded of the field `name`: a JSON value, as it was but for secrets.

        What is hidden for its name is learned, so that a message cannot tell it either.
        """
        if self.hides(name, value) and value is not None:
            self.learn(*_texts(value))
            return HIDDEN
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, Mapping):
            return {self.text(str(key)): self.value(str(key), one) for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [self.value(name, one) for one in value]
        return value

    def command(self, words: Iterable[str]) -> list[str]:
        """Return the words of a command line; what follows an option is hidden for the option's name."""
        told: list[str] = []
        option = ""
        for word in words:
            told.append(HIDDEN if option and self.hides(option) else self.text(word))
            option = word.lstrip("-").replace("-", "_") if word.startswith("-") and "=" not in word else ""
        return told


def configured() -> Redaction:
    """Return the rules that the configuration and the environment of this process give.

    The value of an environment variable whose name is that of a secret, such as ``DB_PASSWORD``, is hidden wherever
    it stands, and so are the passwords of configured backends.
    """
    from exia._house.backends import BackendURL
    from exia._house.errors import LibraryError

    config = load_config(SETTINGS)
    rules = Redaction(config.text("hide").split())
    # A path is none, such as that in PWD.
    rules.learn(*(value for name, value in os.environ.items() if rules.hides(name) and not value.startswith("/")))
    for setting in SETTINGS:
        if setting.url:
            try:
                rules.learn(BackendURL.parse(config.text(setting.name)).password)
            except LibraryError:
                continue  # told to whoever opens it
    return rules


def outline(error: BaseException) -> str:
    """Return where `error` was raised: file, line and function of each call, innermost last.

    There is no line of code and no value of a variable in it, and a home folder is written as ``~``.
    """
    frames = traceback.extract_tb(error.__traceback__)
    shown = [f"{short_path(f.filename)}:{f.lineno} in {f.name}" for f in frames[-_FRAMES:]]
    if len(frames) > _FRAMES:
        shown.insert(0, f"… {len(frames) - _FRAMES} more")
    return "\n".join(shown)


def short_path(path: str) -> str:
    """Return a path, or a text that begins with one, with the home folder as ``~``."""
    try:
        return f"~/{Path(path).relative_to(Path.home())}"
    except (ValueError, RuntimeError):
        return path


@functools.lru_cache(maxsize=16)
def _patterns(words: tuple[str, ...]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Return what finds a name, and what finds a value behind one: ``name = value``, ``--name value``."""
    dropped = {word[1:].lower() for word in words if word.startswith("-")}
    further = [word.lower() for word in words if not word.startswith("-")]
    # A tokenizer is no secret.
    names = "|".join(
        re.escape(word).replace("_", "[_-]?").replace("token", "token(?!i[sz])")
        for word in (*WORDS, *further)
        if word not in dropped
    )
    if not names:
        names = r"(?!)"
    # What may repeat is bounded, or a long text would take minutes.
    value = r"""(?:[bfru]{0,2}(?:"[^"]*"|'[^']*')|[^\s,;&)\]}'"]+)"""
    annotation = rf"{value}(?:\s{{0,4}}\|\s{{0,4}}\w{{1,40}}){{0,4}}"
    name = rf"""(?:{names})[\w-]{{0,40}}['"]?\]?\s{{0,8}}(?:[=!]=|=|:)\s{{0,8}}"""
    pair = rf"({name}){annotation}(?:\s{{0,4}}=\s{{0,4}}{value})?"
    option = rf"""(?<=[\s'"]--)([\w-]{{0,40}}(?:{names})[\w-]{{0,40}}\s{{1,4}})(?!-)[^\s'"]+"""
    return re.compile(names, re.IGNORECASE), re.compile(f"{pair}|{option}", re.IGNORECASE)


def _texts(value: Any) -> Iterable[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from _texts(one)

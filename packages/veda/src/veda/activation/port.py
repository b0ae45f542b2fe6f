"""The activation port: how an environment enters a shell, and leaves it without a trace."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, TypedDict

from veda.environment_model import Generation

SHELLS = ("bash", "zsh", "fish")


class Available(TypedDict):
    """One environment that a shell can load."""

    environment: str
    generation: int
    current: bool


class Activation(Protocol):
    """Ways into a shell; what a generation needs is written once, and loaded many times."""

    def write(self, generation: Generation, folder: Path) -> None:
        """Write into `folder`, which becomes the generation's own, what shells read."""

    def publish(self, generation: Generation) -> None:
        """Make known a generation that is complete; again changes nothing."""

    def point(self, environment: str, number: int) -> None:
        """Say which generation `environment` means from now on."""

    def withdraw(self, environment: str, number: int) -> None:
        """Take back what `publish` made known; a generation that is not known is no error."""

    def load_command(self, generation: Generation, shell: str) -> str:
        """Return the line that the shell evaluates to enter `generation`; what was loaded before is left first."""

    def unload_command(self, shell: str) -> str:
        """Return the line that the shell evaluates to leave what is loaded."""

    def available(self) -> list[Available]:
        """Return the environments that can be loaded, by name and number."""

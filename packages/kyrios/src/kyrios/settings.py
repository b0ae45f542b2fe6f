"""The settings of kyrios: keys of ``[kyrios]`` in ``jiyuan.toml``, each also ``KYRIOS_<NAME>`` in the environment."""

from pathlib import Path

from kyrios._house.config import Setting, load_config

SETTINGS: tuple[Setting, ...] = (
    Setting("engine", "local", "What `kyrios run` runs a flow on.", url=True),
    Setting("data", "file://", "Where the tables between units and the results lie.", url=True),
    Setting("history", "sqlite://", "Where the record of every run lies.", url=True),
    Setting("channel", "memory:", "Where the messages between long-running units lie.", url=True),
    Setting("command", "kyrios", "The command that a rendered task calls, where tasks have their own environment."),
    Setting("warm", 300, "Seconds that a process stands by for the next unit of an Airflow run; 0 for none."),
)


def home() -> Path:
    """Return the folder of everything embedded: data, history, logs."""
    return Path(load_config(SETTINGS).text("home")).expanduser().absolute()

"""The settings of exia: keys of ``[exia]`` in ``jiyuan.toml``, each also ``EXIA_<NAME>`` in the environment."""

from exia._house.config import Setting

SETTINGS: tuple[Setting, ...] = (Setting("runs", "sqlite://", "Where the records of runs are kept.", url=True),)

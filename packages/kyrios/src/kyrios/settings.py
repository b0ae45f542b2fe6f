"""The settings of kyrios: keys of ``[kyrios]`` in ``jiyuan.toml``, each also ``KYRIOS_<NAME>`` in the environment."""

from kyrios._house.config import Setting

SETTINGS: tuple[Setting, ...] = ()

"""The settings of jiyuan: keys of ``[jiyuan]`` in ``jiyuan.toml``, each also ``JIYUAN_<NAME>`` in the environment."""

from jiyuan._house.config import Setting

SETTINGS: tuple[Setting, ...] = ()

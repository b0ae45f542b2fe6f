"""The settings of veda: keys of ``[veda]`` in ``jiyuan.toml``, each also ``VEDA_<NAME>`` in the environment."""

from veda._house.config import Setting

SETTINGS: tuple[Setting, ...] = ()

"""jiyuan: The one door to Veda, Exia, Kyrios and Ptolemy: an algorithm centre on one machine."""

from jiyuan.errors import JiyuanError

__all__ = ["JiyuanError"]

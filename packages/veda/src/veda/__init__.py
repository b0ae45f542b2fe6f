"""veda: Pack, sign, register and distribute algorithm packages, with exact environments."""

from veda.errors import VedaError

__all__ = ["VedaError"]

"""Contract suites: inherit one in a test module and give it the fixture that it names.

They hold for our adapters and for yours.
"""

from ptolemy.testing.series import SeriesContract
from ptolemy.testing.services import ServicesContract
from ptolemy.testing.sources import SourceContract

__all__ = ["SeriesContract", "ServicesContract", "SourceContract"]

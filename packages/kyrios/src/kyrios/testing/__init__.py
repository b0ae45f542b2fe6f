"""Contract suites: what every adapter of a port must do, for ours and for others'.

Derive a test class from a suite and give it the fixture that its docstring names.
"""

from kyrios.testing.channel import ChannelContract
from kyrios.testing.data import DataContract
from kyrios.testing.engine import RunnerContract
from kyrios.testing.history import HistoryContract

__all__ = ["ChannelContract", "DataContract", "HistoryContract", "RunnerContract"]

"""What every test run has, one library's as well as all: the table of servers and its summary."""

from hypothesis import settings

# In this order: a test whose driver is missing is skipped before a server is started for it.
pytest_plugins = ["tests.services.plugin", "tests.servers", "tests.faults.plugin", "tests.browser"]

# A shared machine may take a second for what takes a millisecond elsewhere; that is no defect.
settings.register_profile("workspace", deadline=None)
settings.load_profile("workspace")

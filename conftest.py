"""What every test run has, one library's as well as all: servers for the tests that ask for them."""

from hypothesis import settings

pytest_plugins = ["tests.services.plugin", "tests.servers"]

# A shared machine may take a second for what takes a millisecond elsewhere; that is no defect.
settings.register_profile("workspace", deadline=None)
settings.load_profile("workspace")

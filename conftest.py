"""What every test run has, one library's as well as all: the table of servers and its summary."""

pytest_plugins = ["tests.servers"]

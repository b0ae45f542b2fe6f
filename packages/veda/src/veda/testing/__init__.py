"""Contract suites: what every registry and every store promises, for our adapters and for others'.

Subclass a suite and give its fixture; pytest collects the rest::

    class TestMyStore(StoreContract):
        @pytest.fixture
        def store(self): ...
"""

from veda.testing.activation import ActivationContract
from veda.testing.deploy import DeployContract
from veda.testing.registry import RegistryContract
from veda.testing.store import StoreContract

__all__ = ["ActivationContract", "DeployContract", "RegistryContract", "StoreContract"]

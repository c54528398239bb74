"""What nova's compute service drives: its own FakeDriver, whose servers may have something real behind them.

Put into the control plane as `nova.virt.plane`. A hypervisor says that a server is down once its guest is: nova waits
until nobody holds it any more, for as long as it gives a guest to shut down.
"""

import time
from pathlib import Path

from nova.compute import power_state
from nova.virt import fake

#: A file for each server behind which something runs; whoever keeps that running writes it, and removes it.
HELD = Path("/var/lib/nova/held")


class Driver(fake.FakeDriver):
    def power_off(self, instance, timeout=0, retry_interval=0):
        deadline = time.monotonic() + timeout
        while (HELD / instance.uuid).exists() and time.monotonic() < deadline:
            time.sleep(0.1)
        self._remember(instance, power_state.RUNNING)
        super().power_off(instance, timeout, retry_interval)

    def power_on(self, context, instance, *about, **more):
        self._remember(instance, power_state.SHUTDOWN)
        super().power_on(context, instance, *about, **more)

    def _remember(self, instance, state):
        """The FakeDriver forgets all with its process; a hypervisor finds its guests on its disk again."""
        self.instances.setdefault(instance.uuid, fake.FakeInstance(instance.name, state, instance.uuid))

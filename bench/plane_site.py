"""A private cloud that is a real control plane, for `bench/hybrid.py`: what `bench/nova_site.py` stands in for."""

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from bench.nova_site import UP
from bench.openstack_making import IMAGE
from bench.openstack_plane import Plane, plane

PROJECT = "demo"


class RealCloud:
    """As `bench.nova_site.OwnCloud`."""

    def __init__(self, plane: Plane) -> None:
        self.env = {**plane.env, "OS_CLOUD": PROJECT}
        self.settings = {"OPENSTACK_IMAGE": IMAGE, "OPENSTACK_FLAVORS": "tiny", "OPENSTACK_NETWORKS": "none"}
        self.held = plane.held
        self._plane, self._cloud = plane, plane.connect(PROJECT)
        self._off = ExitStack()
        self._is_off = False
        self._seen: list[str] = []
        #: Nobody asks while it is switched off: it would not answer before it is on again.
        self._asking = threading.Lock()

    def up(self) -> list[str]:
        """Of one that is switched off as they were: nothing changes there."""
        with self._asking:
            if not self._is_off:
                self._seen = [one.id for one in self._cloud.compute.servers() if one.status in UP]
            return self._seen

    def switch_off(self) -> None:
        with self._asking:
            self._off.enter_context(self._plane.hung())
            self._is_off = True

    def switch_on(self) -> None:
        self._off.close()
        self._is_off = False


@contextmanager
def real_cloud(folder: Path) -> Iterator[RealCloud]:
    """It answers as long as the block lasts; booting it takes half a minute. Raises `RuntimeError` where none is."""
    folder.mkdir(parents=True)
    with plane(folder) as made:
        cloud = RealCloud(made)
        try:
            yield cloud
        finally:
            cloud.switch_on()

"""The servers of an OpenStack as Nova's API shows them, and what that means for what stands behind each."""

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from openstack.connection import Connection

GOING_DOWN = ("powering-off", "shelving", "shelving_image_pending_upload", "shelving_image_uploading")
OFF = ("SHUTOFF", "SHELVED", "SHELVED_OFFLOADED")


class Wish(StrEnum):
    """What should become of what stands behind a server."""

    UP = "up"
    DOWN = "down"
    GONE = "gone"
    #: It is on its way; the API says later where to.
    NONE = "none"


@dataclass(frozen=True)
class Server:
    """As the API shows it. `user_data` is told to administrators alone."""

    id: str
    name: str
    status: str
    task: str | None = None
    image: str = ""
    meta: Mapping[str, str] = field(default_factory=dict)
    user_data: bytes = b""
    project: str = ""
    flavor: str = ""
    key: str = ""

    @property
    def wish(self) -> Wish:
        if self.task == "deleting" or self.status == "DELETED":
            return Wish.GONE
        if self.task in GOING_DOWN:
            return Wish.DOWN
        if self.status == "ACTIVE":
            return Wish.UP
        # The others of those are being started.
        return Wish.DOWN if self.status in OFF and not self.task else Wish.NONE


def servers_of(cloud: Connection, *, all_projects: bool = True) -> list[Server]:
    """All that the API shows now; raises what openstacksdk does."""
    return [_server(one) for one in cloud.compute.servers(all_projects=all_projects)]


def _server(one: Any) -> Server:
    return Server(
        id=one.id,
        name=one.name,
        status=one.status,
        task=one.task_state,
        image=(one.image or {}).get("id") or "",
        meta=dict(one.metadata or {}),
        user_data=b64decode(one.user_data or ""),
        project=one.project_id or "",
        flavor=(one.flavor or {}).get("original_name") or "",
        key=one.key_name or "",
    )

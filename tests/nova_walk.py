"""The same calls to any OpenStack, and the shapes of what it answers: so a stand-in is held against a real one."""

import time
from collections.abc import Callable
from typing import Any

from openstack.connection import Connection

PATIENCE = 60.0
#: What differs between two clouds, or two moments of one, without anybody being wrong.
BY_CHANCE = ("progress", "servers_links", "fault", "OS-EXT-SRV-ATTR:user_data", "next", "traits", "x-openstack")
Shape = Any


def shape(body: Any) -> Shape:
    """Keys and kinds, not values; of a list, what one in it looks like."""
    if isinstance(body, dict):
        return {key: shape(value) for key, value in sorted(body.items()) if key not in BY_CHANCE}
    if isinstance(body, list):
        return [shape(body[0])] if body else []
    return "null or text" if body is None or isinstance(body, str) else type(body).__name__


class Walk:
    """`answers`: by what was asked, the status and the shape. An image and the flavors `tiny` and `huge` are there."""

    def __init__(self, cloud: Connection, image: str) -> None:
        self._cloud, self.answers = cloud, dict[str, tuple[int, Shape]]()
        self._image = next(one.id for one in cloud.image.images(name=image))
        self._flavors = {one.name: one.id for one in cloud.compute.flavors(details=False)}

    def go(self) -> dict[str, tuple[int, Shape]]:
        self._look_around()
        id = self._come("create", "tiny")
        self._lives(id)
        self._refused()
        lost = self._come("create what has no host", "huge", status="ERROR")
        self._ask("show what has no host", "GET", f"/servers/{lost}")
        self._detail("list what has no host", lost)
        for one in (id, lost):
            self._ask("delete", "DELETE", f"/servers/{one}")
            self._until(lambda one=one: self._get(f"/servers/{one}").status_code == 404)
        self._ask("show who is gone", "GET", f"/servers/{id}")
        self._ask("stop who is gone", "POST", f"/servers/{id}/action", {"os-stop": None})
        return self.answers

    def _look_around(self) -> None:
        self._ask("list nobody", "GET", "/servers/detail")
        self._ask("flavors", "GET", "/flavors")
        self._ask("details of flavors", "GET", "/flavors/detail")
        self._ask("a filter that is none", "GET", "/servers/detail?nonsense=1")
        self._ask("a microversion to come", "GET", "/servers/detail", microversion="2.999")
        for name, service, path in (("images", "image", "/images"), ("networks", "network", "/networks")):
            response = getattr(self._cloud, service).get(path)
            self.answers[name] = response.status_code, shape(response.json())

    def _lives(self, id: str) -> None:
        self._ask("show", "GET", f"/servers/{id}")
        self._detail("list", id)
        self._ask("list by name", "GET", "/servers/detail?name=walk")
        self._ask("metadata", "POST", f"/servers/{id}/metadata", {"metadata": {"a:b": "c"}})
        for verb, status in (
            ("os-stop", "SHUTOFF"),
            ("os-start", "ACTIVE"),
            ("shelve", "SHELVED_OFFLOADED"),
            ("unshelve", "ACTIVE"),
        ):
            self._ask(verb, "POST", f"/servers/{id}/action", {verb: None})
            self._until(lambda status=status: self._settled(id, status))
            self._ask(f"{verb} again", "POST", f"/servers/{id}/action", {verb: None})
            self._until(lambda status=status: self._settled(id, None))
            if verb == "shelve":
                self._ask("start who is shelved", "POST", f"/servers/{id}/action", {"os-start": None})
                self._ask("mark who is shelved", "POST", f"/servers/{id}/metadata", {"metadata": {"a:b": "c"}})

    def _refused(self) -> None:
        for name, changes in {
            "image": {"imageRef": "00000000-0000-0000-0000-000000000000"},
            "flavor": {"flavorRef": "nosuch"},
            "key": {"key_name": "nosuch"},
            "zone": {"availability_zone": "nosuch"},
            "field": {"nonsense": 1},
        }.items():
            self._ask(f"create with a {name} that is none", "POST", "/servers", self._asked("tiny", **changes))

    def _asked(self, flavor: str, **changes: Any) -> dict[str, Any]:
        asked = {"name": "walk", "imageRef": self._image, "flavorRef": self._flavors[flavor], "networks": "none"}
        return {"server": asked | {"metadata": {"facefleet:fleet": "walk"}} | changes}

    def _come(self, name: str, flavor: str, *, status: str = "ACTIVE") -> str:
        id = self._ask(name, "POST", "/servers", self._asked(flavor))["server"]["id"]
        self._until(lambda: self._settled(id, status))
        return str(id)

    def _detail(self, name: str, id: str) -> None:
        found = self._get("/servers/detail").json()["servers"]
        self.answers[name] = 200, shape(next(one for one in found if one["id"] == id))

    def _settled(self, id: str, status: str | None) -> bool:
        server = self._get(f"/servers/{id}").json()["server"]
        return status in (None, server["status"]) and server["OS-EXT-STS:task_state"] is None

    def _get(self, path: str) -> Any:
        return self._cloud.compute.get(path, microversion="2.93")

    def _ask(self, name: str, verb: str, path: str, body: Any = None, microversion: str = "2.93") -> Any:
        response = self._cloud.compute.request(path, verb, json=body, microversion=microversion)
        said = response.json() if response.content else None
        self.answers[name] = response.status_code, shape(said)
        return said

    def _until(self, come: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not come():
            assert time.monotonic() < deadline
            time.sleep(0.1)

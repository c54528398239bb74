"""The fleet on OpenStack, driven through the real openstacksdk against a stand-in that says what a real cloud said."""

import logging
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from secrets import token_hex

import pytest
from nova_apis import NovaCloud
from nova_cloud import nova_cloud
from nova_fleets import Make, nova_fleets
from openstack.connection import Connection
from services import until

from facefleet.backends.openstack import nova
from facefleet.backends.openstack.fleet import NovaFleet
from facefleet.backends.openstack.servers import FLEET, LEAVES, STARTED, TOKEN
from facefleet.errors import Conflict, NoCapacity, Throttled, Unavailable
from facefleet.model import InstanceState, Start
from facefleet.settings import Settings

PENDING, RUNNING, DRAINING, STOPPING, STOPPED = InstanceState
#: Seconds of a world in which everything takes long.
LONG = 60.0


@pytest.fixture
def cloud() -> Iterator[NovaCloud]:
    with nova_cloud() as cloud:
        yield cloud


@pytest.fixture
def make(cloud: NovaCloud) -> Iterator[Make]:
    """`make(user="other", warm_pool=2)`: made again, it is what a controller has that has just been started."""
    with nova_fleets(cloud.cloud, timeout=2.0) as make:
        yield make


@pytest.fixture
def fleet(make: Make) -> NovaFleet:
    return make()


def launch(fleet: NovaFleet, count: int = 1) -> list[str]:
    return [fleet.launch(token_hex(16), fleet.offers[0]) for _ in range(count)]


def states(fleet: NovaFleet) -> dict[str, InstanceState]:
    return {one.id: one.state for one in fleet.instances()}


def running(fleet: NovaFleet, count: int = 1) -> list[str]:
    ids = launch(fleet, count)
    until(lambda: all(states(fleet).get(id) is RUNNING for id in ids))
    return ids


def resting(fleet: NovaFleet, count: int = 1) -> list[str]:
    ids = running(fleet, count)
    fleet.retire(ids)
    until(lambda: all(states(fleet).get(id) is STOPPED for id in ids))
    return ids


def posts(cloud: NovaCloud) -> int:
    return cloud.calls.count(("POST", "/compute/v2.1/servers"))


def test_what_is_launched_says_whose_it_is_and_is_made_as_the_settings_say(
    cloud: NovaCloud, make: Make, tmp_path: Path
) -> None:
    cloud.add_network("inner")
    (tmp_path / "user-data").write_text("#cloud-config\n")
    fleet = make(
        openstack_networks="inner",
        openstack_key="ours",
        openstack_groups="ssh, default",
        openstack_zones="zone-a",
        openstack_user_data=tmp_path / "user-data",
        instance_name="fleet-1",
    )
    token = token_hex(16)
    assert fleet.offers == ("m1.small/zone-a",)
    asked = cloud.server(fleet.launch(token, "m1.small/zone-a")).asked
    assert asked["metadata"].items() >= {(FLEET, "fleet-1"), (TOKEN, token)}
    assert asked["name"] == f"fleet-1-{token[:8]}"
    assert asked["networks"] == [{"uuid": cloud.networks[0]["id"]}]
    assert (asked["key_name"], asked["availability_zone"]) == ("ours", "zone-a")
    assert asked["security_groups"] == [{"name": "ssh"}, {"name": "default"}]
    assert asked["user_data"] == "I2Nsb3VkLWNvbmZpZwo="


@pytest.mark.parametrize(("said", "asked"), [("", "auto"), ("none", "none")])
def test_where_no_network_is_named_the_projects_own_is_taken_or_none(
    cloud: NovaCloud, make: Make, said: str, asked: str
) -> None:
    (id,) = launch(make(openstack_networks=said))
    assert cloud.server(id).asked["networks"] == asked


def test_an_answer_that_was_lost_brings_no_second_server(cloud: NovaCloud, fleet: NovaFleet, make: Make) -> None:
    cloud.faults.lost, token = 1, token_hex(16)
    with pytest.raises(Unavailable) as refusal:
        fleet.launch(token, "m1.small")
    assert not isinstance(refusal.value, NoCapacity), "it may have been done"
    assert posts(cloud) == 1, "nobody sends a create again by himself"
    id = make().launch(token, "m1.small")
    assert [one.id for one in fleet.instances()] == [id]
    assert posts(cloud) == 1


def test_two_for_a_token_are_one_to_everybody_and_the_younger_goes(cloud: NovaCloud, make: Make) -> None:
    """As where an answer was lost, and the server came into the list only after it was asked for again."""
    fleet, other, token = make(warm_pool=5), make(warm_pool=5), token_hex(16)
    fleet.launch(token, "m1.small")
    (first,) = cloud.of("app-tier-instance")
    copy = cloud.servers.create(first.project, first.user, first.asked, first.flavor)
    copy.created = first.created + 1
    assert set(states(fleet)) == set(states(other)) == {first.id}
    assert other.launch(token, "m1.small") == first.id
    until(lambda: len(cloud.of("app-tier-instance")) == 1 or fleet.instances() is None)
    assert set(states(fleet)) == {first.id}


def test_a_double_that_works_already_shuts_down_before_it_is_deleted(cloud: NovaCloud, make: Make) -> None:
    fleet, token, cloud.world.stop = make(), token_hex(16), 0.4
    fleet.launch(token, "m1.small")
    (first,) = cloud.of("app-tier-instance")
    copy = cloud.servers.create(first.project, first.user, first.asked, first.flavor)
    copy.created, copy.metadata = first.created + 1, dict(first.metadata)
    until(lambda: copy.status == "ACTIVE" or cloud.of("app-tier-instance") is None)
    seen = set()

    def gone() -> bool:
        seen.add((copy.status, copy.task))
        assert set(states(fleet)) == {first.id}
        return copy.gone

    until(gone, seconds=15.0)
    assert ("ACTIVE", "powering-off") in seen
    assert ("ACTIVE", "deleting") not in seen


def test_one_without_a_host_is_deleted_and_is_want_of_capacity(cloud: NovaCloud, make: Make) -> None:
    fleet = make(openstack_flavors="huge,m1.small")
    with pytest.raises(NoCapacity, match="No valid host"):
        fleet.launch(token_hex(16), "huge")
    assert cloud.of("app-tier-instance") == []
    assert fleet.launch(token_hex(16), "m1.small")


def test_one_that_fails_at_its_host_later_is_not_listed_but_deleted_and_its_offer_waits_once(
    cloud: NovaCloud, fleet: NovaFleet, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.faults.breaks = 1
    (id,) = launch(fleet)
    until(lambda: cloud.server(id).status == "ERROR")
    assert states(fleet) == {}
    assert cloud.of("app-tier-instance") == []
    assert "Exhausted all hosts" in caplog.text
    with pytest.raises(NoCapacity, match="Exhausted all hosts"):
        launch(fleet)
    assert launch(fleet)


def test_why_one_was_not_placed_is_asked_for_where_the_list_does_not_say_it(
    cloud: NovaCloud, fleet: NovaFleet, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.faults.no_host, cloud.world.schedule, cloud.faults.lost = {"m1.small"}, 0.1, 1
    with pytest.raises(Unavailable):
        launch(fleet)
    (server,) = cloud.of("app-tier-instance")
    until(lambda: cloud.server(server.id).status == "ERROR")
    assert states(fleet) == {} and server.gone
    assert "No valid host was found" in caplog.text


def test_one_that_worked_and_breaks_is_deleted_and_says_nothing_of_capacity(cloud: NovaCloud, fleet: NovaFleet) -> None:
    (id,) = running(fleet)
    cloud.server(id).becomes("ERROR", "error", None, 0)
    assert states(fleet) == {} and cloud.server(id).gone
    assert launch(fleet)


def test_a_lost_launch_that_came_to_nothing_is_want_of_capacity_when_it_is_asked_for_again(
    cloud: NovaCloud, fleet: NovaFleet
) -> None:
    cloud.faults.lost, cloud.faults.no_host, token = 1, {"m1.small"}, token_hex(16)
    with pytest.raises(Unavailable):
        fleet.launch(token, "m1.small")
    cloud.faults.no_host = set()
    with pytest.raises(NoCapacity, match="No valid host"):
        fleet.launch(token, "m1.small")
    assert fleet.launch(token, "m1.small")


def test_a_quota_that_is_used_up_is_want_of_capacity(cloud: NovaCloud, fleet: NovaFleet) -> None:
    cloud.faults.quota = 2
    launch(fleet, 2)
    with pytest.raises(NoCapacity, match="already used 2 of 2 instances"):
        launch(fleet)
    assert len(states(fleet)) == 2


def test_who_is_retired_rests_while_the_warm_pool_has_room_and_the_others_go_once_they_have_shut_down(
    cloud: NovaCloud, make: Make
) -> None:
    fleet = make(warm_pool=2)
    ids = running(fleet, 4)
    cloud.calls.clear()
    for id in ids:
        # One by one, with no list in between.
        fleet.retire([id])
    assert not [call for call in cloud.calls if call[0] == "DELETE"], "no plug is pulled"
    until(lambda: list(states(fleet).values()) == [STOPPED, STOPPED])
    assert len(cloud.of("app-tier-instance")) == 2


def test_one_that_goes_for_good_is_marked_so_that_any_controller_deletes_it(cloud: NovaCloud, make: Make) -> None:
    fleet, other = make(warm_pool=0), make(warm_pool=9)
    (id,) = running(fleet)
    cloud.calls.clear()
    fleet.retire([id])
    fleet.retire([id])
    assert cloud.calls.count(("POST", f"/compute/v2.1/servers/{id}/action")) == 1
    assert cloud.server(id).metadata[LEAVES]
    until(lambda: cloud.server(id).status == "SHUTOFF")
    assert states(other) == {id: STOPPING}, "it is no warm one"
    until(lambda: states(other) == {})


def test_one_on_its_way_up_is_deleted_where_nothing_runs_on_it_yet_or_waits_to_be_asked_again(
    cloud: NovaCloud, make: Make
) -> None:
    cloud.world.build = LONG
    (id,) = launch(make(warm_pool=0))
    make(warm_pool=1).retire([id])
    assert not cloud.server(id).gone
    make(warm_pool=0).retire([id])
    assert cloud.server(id).gone


def test_one_from_the_warm_pool_says_so_and_is_paid_for_from_then_on(cloud: NovaCloud, make: Make) -> None:
    clock = iter([time.time() + 500.0, 0.0])
    fleet = make(warm_pool=1, clock=lambda: next(clock))
    (id,) = resting(fleet)
    (before,) = fleet.instances()
    assert before.start is Start.LAUNCH
    fleet.start([id])
    until(lambda: states(fleet) == {id: RUNNING})
    (after,) = fleet.instances()
    assert (after.start, after.token) == (Start.POOL, before.token)
    assert after.launched_at > before.launched_at + 400
    fleet.retire([id])
    until(lambda: states(fleet) == {id: STOPPED})
    # A clock that was set back does not make it the same start.
    fleet.start([id])
    (again,) = fleet.instances()
    assert again.launched_at > after.launched_at


def test_when_it_was_started_is_written_before_it_is(cloud: NovaCloud, make: Make) -> None:
    fleet = make(warm_pool=1)
    (id,) = resting(fleet)
    cloud.calls.clear()
    fleet.start([id])
    assert [path.rpartition("/")[2] for verb, path in cloud.calls if verb == "POST"] == ["metadata", "action"]
    assert float(cloud.server(id).metadata[STARTED]) > 0


def test_one_that_somebody_else_started_meanwhile_is_no_error(cloud: NovaCloud, make: Make) -> None:
    fleet, other = make(warm_pool=2), make(warm_pool=2)
    ids = resting(fleet, 2)
    other.start([ids[0]])
    until(lambda: cloud.server(ids[0]).status == "ACTIVE")
    fleet.start(ids)
    until(lambda: set(states(fleet).values()) == {RUNNING})


def test_one_that_cannot_be_started_keeps_nobody_else(cloud: NovaCloud, make: Make) -> None:
    fleet = make(warm_pool=3)
    ids = resting(fleet, 3)
    cloud.server(ids[0]).locked = True
    with pytest.raises(Unavailable, match="locked"):
        fleet.start(ids)
    until(lambda: [states(fleet)[id] for id in ids] == [STOPPED, RUNNING, RUNNING])


@pytest.mark.parametrize("verb", ["retire", "end"])
def test_one_that_cannot_be_told_to_go_keeps_nobody_else(cloud: NovaCloud, make: Make, verb: str) -> None:
    fleet = make(warm_pool=3)
    ids = running(fleet, 3)
    cloud.server(ids[0]).locked = True
    with pytest.raises(Unavailable, match="locked"):
        getattr(fleet, verb)(ids)
    until(lambda: RUNNING not in [states(fleet).get(id) for id in ids[1:]])
    assert states(fleet)[ids[0]] is RUNNING


def test_shelved_ones_rest_too_and_come_back(cloud: NovaCloud, make: Make) -> None:
    fleet = make(warm_pool=2, openstack_rest="shelve")
    (shelved,) = resting(fleet)
    assert cloud.server(shelved).status == "SHELVED_OFFLOADED"
    (before,) = fleet.instances()
    (stopped,) = resting(make(warm_pool=2))
    cloud.calls.clear()
    make(warm_pool=2).start([shelved, stopped])
    until(lambda: set(states(fleet).values()) == {RUNNING})
    assert {cloud.server(id).status for id in (shelved, stopped)} == {"ACTIVE"}
    after = {one.id: one for one in fleet.instances()}
    assert (before.start, after[shelved].start, after[stopped].start) == (Start.LAUNCH, Start.POOL, Start.POOL)
    assert after[shelved].launched_at > before.launched_at


def test_a_shelved_one_that_finds_no_host_is_want_of_capacity(cloud: NovaCloud, make: Make) -> None:
    fleet = make(warm_pool=1, openstack_rest="shelve")
    (id,) = resting(fleet)
    cloud.faults.no_host, cloud.world.schedule = {"m1.small"}, 0.1
    with pytest.raises(NoCapacity, match="no host"):
        fleet.start([id])
    assert states(fleet) == {id: STOPPED}


def test_tidy_deletes_what_the_pool_has_no_room_for(cloud: NovaCloud, make: Make) -> None:
    resting(make(warm_pool=3), 3)
    make(warm_pool=1).tidy()
    assert len(cloud.of("app-tier-instance")) == 1


def test_servers_of_other_fleets_and_projects_are_neither_listed_nor_touched(cloud: NovaCloud, make: Make) -> None:
    theirs = running(make(instance_name="another"))
    theirs += running(make(user="other"))
    (bare,) = launch(make(instance_name="made by hand"))
    cloud.server(bare).metadata.clear()
    fleet = make()
    (ours,) = running(fleet)
    assert set(states(fleet)) == {ours}
    for verb in (fleet.start, fleet.retire, fleet.end):
        verb([*theirs, bare])
    fleet.tidy()
    assert all(cloud.server(id).status == "ACTIVE" and not cloud.server(id).task for id in [*theirs, bare])


def test_all_pages_are_read(cloud: NovaCloud, fleet: NovaFleet) -> None:
    cloud.world.page = 2
    ids = launch(fleet, 5)
    assert set(states(fleet)) == set(ids)


def test_who_hangs_at_being_deleted_is_deleted_by_force(cloud: NovaCloud, fleet: NovaFleet) -> None:
    cloud.world.delete = LONG
    (id,) = running(fleet)
    fleet.end([id])
    assert states(fleet) == {id: STOPPING}
    cloud.calls.clear()
    fleet.end([id])
    assert ("POST", f"/compute/v2.1/servers/{id}/action") in cloud.calls


@pytest.mark.parametrize(("status", "after"), [(429, 3), (413, 3), (429, 0)])
def test_who_asks_too_often_is_told_to_ask_later(cloud: NovaCloud, fleet: NovaFleet, status: int, after: int) -> None:
    cloud.faults.status, cloud.faults.retry_after = status, after
    for call in (fleet.instances, lambda: launch(fleet)):
        with pytest.raises(Throttled, match="asked too often"):
            call()


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_cloud_that_is_not_well_is_unavailable_and_asked_once(
    cloud: NovaCloud, fleet: NovaFleet, status: int
) -> None:
    assert fleet.instances() == []
    cloud.faults.status = status
    cloud.calls.clear()
    with pytest.raises(Unavailable, match=str(status)) as refusal:
        fleet.instances()
    assert type(refusal.value) is Unavailable
    assert len(cloud.calls) == 1


ODD = '{"servers": [{"id": "a", "metadata": {"facefleet:fleet": "app-tier-instance"}, "created": "now"}]}'


@pytest.mark.parametrize("page", ["<html>sign in</html>", "{}", "[]", '{"servers": null}', '{"servers": [5]}', ODD])
def test_a_page_where_servers_were_due_is_no_empty_fleet(cloud: NovaCloud, fleet: NovaFleet, page: str) -> None:
    launch(fleet)
    cloud.faults.page = page
    with pytest.raises(Unavailable):
        fleet.instances()


@pytest.mark.parametrize("page", ["<html>sign in</html>", "{}", "[]", '{"server": null}', '{"server": {}}'])
def test_a_page_where_a_new_server_was_due_is_nobodys_id(cloud: NovaCloud, page: str) -> None:
    with Connection(**cloud.cloud()) as connection:
        assert list(connection.compute.servers()) == []
        cloud.faults.page = page
        with pytest.raises(Unavailable) as refusal:
            nova.Nova(connection).create("launching", name="a", image_id="b", flavor_id="c", networks="none")
    assert not isinstance(refusal.value, NoCapacity), "it may have been made"


def test_a_cloud_that_answers_nothing_is_given_up_in_time_and_taken_up_again(cloud: NovaCloud, make: Make) -> None:
    fleet = make()
    ids = running(fleet, 2)
    cloud.faults.deaf = True
    begun = time.monotonic()
    for call in (fleet.instances, lambda: fleet.retire(ids), lambda: fleet.end(ids)):
        with pytest.raises(Unavailable):
            call()
    assert time.monotonic() - begun < 12, "each is one call, or several at a time"
    cloud.faults.deaf = False
    until(lambda: set(states(fleet)) <= set(ids))


def test_a_token_that_has_ended_is_renewed(cloud: NovaCloud, fleet: NovaFleet) -> None:
    launch(fleet)
    cloud.tokens.clear()
    assert len(states(fleet)) == 1


def test_a_wrong_password_is_said_so(cloud: NovaCloud) -> None:
    auth = cloud.cloud()["auth"] | {"password": "wrong"}
    with (
        Connection(auth=auth, region_name="RegionOne") as connection,
        pytest.raises(Unavailable, match="keystone refuses the user"),
    ):
        NovaFleet(connection, Settings()).instances()


def test_a_user_who_may_not_is_told_which_role_it_lacks(cloud: NovaCloud, fleet: NovaFleet) -> None:
    cloud.faults.denied = {"os_compute_api:servers:create", "os_compute_api:os-stop"}
    with pytest.raises(Unavailable, match=r"role `member`.*os_compute_api:servers:create") as refusal:
        launch(fleet)
    assert not isinstance(refusal.value, NoCapacity)
    cloud.faults.denied.remove("os_compute_api:servers:create")
    ids = running(fleet)
    with pytest.raises(Unavailable, match="os-stop"):
        fleet.retire(ids)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"openstack_image": "nosuch"}, "FACEFLEET_OPENSTACK_IMAGE: there is no 'nosuch' .* facefleet-worker"),
        ({"openstack_flavors": "nosuch"}, "FACEFLEET_OPENSTACK_FLAVORS: .* huge, m1.medium, m1.small, tiny"),
        ({"openstack_networks": "nosuch"}, "FACEFLEET_OPENSTACK_NETWORKS: .* there is inner"),
        ({"openstack_key": "nosuch"}, "Invalid key_name provided.*correct FACEFLEET_OPENSTACK_KEY"),
        ({"openstack_zones": "nosuch"}, "availability zone is not available.*correct FACEFLEET_OPENSTACK_ZONES"),
        ({"openstack_user_data": Path("/nosuch")}, "FACEFLEET_OPENSTACK_USER_DATA: /nosuch cannot be read"),
    ],
)
def test_what_the_cloud_does_not_have_is_named_with_its_setting_and_others_are_asked_for(
    cloud: NovaCloud, make: Make, changes: dict[str, object], said: str
) -> None:
    cloud.add_network("inner")
    with pytest.raises(NoCapacity, match=said):
        launch(make(**changes))
    assert cloud.of("app-tier-instance") == []


def test_who_was_made_of_an_image_that_was_replaced_is_stale(
    cloud: NovaCloud, make: Make, caplog: pytest.LogCaptureFixture
) -> None:
    old = make()
    launch(old)
    assert [one.is_stale for one in old.instances()] == [False]
    cloud.add_image("facefleet-worker", created_at="2030-01-01T00:00:00Z")
    fleet = make()
    assert [one.is_stale for one in fleet.instances()] == [True]
    (new,) = launch(fleet)
    assert {one.id: one.is_stale for one in fleet.instances()}[new] is False
    assert [one.is_stale for one in make(openstack_flavors="m1.medium").instances()] == [True, True]
    # Where nobody knows what is made now, nobody is replaced; that is told once.
    for one in (unsure := make(openstack_image="nosuch"), unsure):
        assert not any(one.is_stale for one in one.instances())
    assert len([r for r in caplog.records if r.levelno == logging.WARNING]) == 1


def test_what_names_stand_for_is_asked_once_a_minute(cloud: NovaCloud, fleet: NovaFleet) -> None:
    launch(fleet, 3)
    fleet.instances()
    assert cloud.calls.count(("GET", "/image/v2/images")) == cloud.calls.count(("GET", "/compute/v2.1/flavors")) == 1


def test_one_whose_cell_does_not_answer_stays_as_it_was(cloud: NovaCloud, fleet: NovaFleet, make: Make) -> None:
    ids = running(fleet, 2)
    cloud.server(ids[0]).veiled = True
    assert states(fleet) == dict.fromkeys(ids, RUNNING)
    # Who never saw it cannot know whose it is.
    assert set(states(make())) == {ids[1]}


def test_the_token_of_one_that_is_on_its_way_out_brings_a_conflict(cloud: NovaCloud, fleet: NovaFleet) -> None:
    cloud.world.delete, token = LONG, token_hex(16)
    fleet.end([fleet.launch(token, "m1.small")])
    with pytest.raises(Conflict, match="on its way out"):
        fleet.launch(token, "m1.small")
    with pytest.raises(Conflict, match="not offered"):
        fleet.launch(token_hex(16), "m1.huge")


def test_launches_at_the_same_time_are_each_their_own(cloud: NovaCloud, fleet: NovaFleet) -> None:
    tokens = [token_hex(16) for _ in range(fleet.at_once)]
    with ThreadPoolExecutor(fleet.at_once) as pool:
        ids = set(pool.map(lambda token: fleet.launch(token, "m1.small"), tokens))
    assert len(ids) == fleet.at_once
    assert {one.token for one in fleet.instances()} == set(tokens)


def test_to_wait_for_a_host_is_bounded(cloud: NovaCloud, fleet: NovaFleet, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.world.schedule = LONG
    monkeypatch.setattr(nova, "WATCH_FOR", 0.6)
    begun = time.monotonic()
    (id,) = launch(fleet)
    assert 0.4 < time.monotonic() - begun < 5
    assert states(fleet) == {id: PENDING}


def test_can_rest_only_where_there_is_a_warm_pool(make: Make) -> None:
    assert make(warm_pool=1).can_rest == ("m1.small",)
    assert make(warm_pool=0).can_rest == ()

"""What a relay may call in each of its ways, and what it may not, with IAM enforced by the server."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from awake import RED, enrol, picture, sees_colours
from botocore.exceptions import ClientError
from woken import put, records

from facefleet.backends.aws import function
from facefleet.backends.aws.account import relay
from facefleet.backends.aws.account.resources import Verb, apply, ensure
from facefleet.backends.aws.clients import connect_clients
from facefleet.backends.aws.faults import DENIED, code_of
from facefleet.backends.aws.relay import connect
from facefleet.backends.aws.relaying import doors
from facefleet.recognition.keeper import Keeper
from facefleet.recognition.processor import Processor
from facefleet.recognition.recogniser import Recogniser, limits_of
from openstack_relay.by_fleet import ByFleet
from openstack_relay.doing import Fate
from openstack_relay.each import Each
from openstack_relay.home import Home
from openstack_relay.incoming import Event, read
from openstack_relay.recognising.work import Work
from openstack_relay.replies import Replies

from .conftest import aws
from .iam import ACCOUNT, Place, place_at, user

WAYS = ("relay", "relay-fleet", "relay-itself")
KEY = {"Key": {"name": {"S": "x"}}}
OF_KIND = {"KeyConditionExpression": "kind = :k", "ExpressionAttributeValues": {":k": {"S": "none"}}}
NOW, BODY, NO_RECEIPT = {"WaitTimeSeconds": 0}, {"MessageBody": "x"}, {"ReceiptHandle": "none"}
VERSION = {"VersionId": "none"}


@pytest.fixture
def guarded(iam: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    """Set up by the operator under the operator's policy, the relay's queues too; with a user for each way."""
    settings = aws(tmp_path)
    own = settings.request_queue.removeprefix("requests-")
    place = place_at(iam, replace(settings, relay_input=f"arrivals-{own}", relay_output=f"results-{own}"))
    as_user(place, "operator", monkeypatch)
    clients = connect_clients()
    ensure(clients, place.settings)
    apply(relay.plan(clients, place.settings))
    assert {step.verb for step in relay.plan(clients, place.settings)} == {Verb.FINE}
    keys = {who: user(place.client("root", "iam"), who, place.settings) for who in (*WAYS, "worker-relay")}
    return replace(place, keys={**place.keys, **keys})


def as_user(place: Place, who: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in place.env(who).items():
        monkeypatch.setenv(name, value)


def on_queue(operation: str, name: str, **more: Any) -> tuple[str, str, dict[str, Any]]:
    return "sqs", operation, {"QueueUrl": name, **more}


def table(place: Place) -> list[tuple[tuple[str, str, dict[str, Any]], set[str]]]:
    """Calls, and the ways that may make them."""
    s = place.settings
    all_ways, by_function, by_fleet, by_itself = set(WAYS), {"relay"}, {"relay-fleet"}, {"relay-itself"}
    rows: list[tuple[tuple[str, str, dict[str, Any]], set[str]]] = []
    for queue, ways in (
        (s.relay_input, all_ways),
        (f"{s.relay_input}-dead", all_ways),
        (s.relay_output, by_function),
        (f"{s.relay_output}-dead", by_function),
        (f"{s.response_queue}-host-1", by_fleet),
    ):
        rows += [
            (on_queue("receive_message", queue, **NOW), ways),
            (on_queue("delete_message", queue, **NO_RECEIPT), ways),
            (on_queue("get_queue_attributes", queue, AttributeNames=["All"]), ways),
            (on_queue("set_queue_attributes", queue, Attributes={"VisibilityTimeout": "5"}), set()),
            (on_queue("purge_queue", queue), set()),
        ]
    rows += [(on_queue("send_message", name, **BODY), all_ways) for name in (s.relay_input, f"{s.relay_input}-dead")]

    def of_object(operation: str, bucket: str, key: str, *ways: str, **more: Any) -> None:
        rows.append((("s3", operation, {"Bucket": bucket, "Key": key, **more}), set(ways)))

    of_object("get_object", s.input_bucket, "a.mp4", "relay-fleet", "relay-itself")
    of_object("put_object", s.input_bucket, "a.mp4")
    of_object("put_object", s.input_bucket, "claims/1", "relay-fleet")
    of_object("delete_object", s.input_bucket, "a.mp4", "relay-itself", **VERSION)
    of_object("put_object", s.output_bucket, "a", "relay-itself")
    of_object("put_object", s.state_bucket, "results/1.json", "relay-itself")
    of_object("get_object", s.state_bucket, "results/1.json", "relay-fleet", "relay-itself")
    of_object("get_object", s.state_bucket, "photos/paul/1")
    of_object("put_object", s.state_bucket, "state/controller")
    of_object("get_object", "somebody-elses", "a")
    people = s.people_table
    rows += [
        (on_queue("send_message", s.request_queue, **BODY), by_fleet),
        (on_queue("receive_message", s.request_queue, **NOW), set()),
        (on_queue("send_message", "somebody-elses", **BODY), set()),
        (("dynamodb", "get_item", {"TableName": people, **KEY}), by_itself),
        (("dynamodb", "query", {"TableName": f"{people}-index", **OF_KIND}), by_itself),
        (("dynamodb", "update_item", {"TableName": people, **KEY}), set()),
        (("dynamodb", "delete_item", {"TableName": people, **KEY}), set()),
        (("ec2", "describe_instances", {}), set()),
        (("iam", "create_user", {"UserName": "another"}), set()),
    ]
    return rows


def is_allowed(place: Place, way: str, service: str, operation: str, parameters: dict[str, Any]) -> bool:
    """Whether IAM let it pass; that there was nothing to find is another matter."""
    if service == "sqs":
        parameters = parameters | {"QueueUrl": f"{place.url}/{ACCOUNT.id}/{parameters['QueueUrl']}"}
    try:
        getattr(place.client(way, service), operation)(**parameters)
    except ClientError as e:
        return code_of(e) not in DENIED
    return True


def test_each_way_may_do_its_work_and_nothing_besides(guarded: Place) -> None:
    root = guarded.client("root", "sqs")
    for name in ("somebody-elses", f"{guarded.settings.response_queue}-host-1"):
        root.create_queue(QueueName=name)
    guarded.client("root", "s3").create_bucket(Bucket="somebody-elses")
    wrong = [
        f"{way}: {operation} {parameters}"
        for (service, operation, parameters), ways in table(guarded)
        for way in WAYS
        if is_allowed(guarded, way, service, operation, parameters) is not (way in ways)
    ]
    assert wrong == []


def test_by_a_function_it_calls_that_one_alone(guarded: Place) -> None:
    def calls(way: str, name: str) -> bool:
        more = {"FunctionName": name, "InvocationType": "DryRun"}
        return is_allowed(guarded, way, "lambda", "invoke", more)

    assert calls("relay", guarded.settings.relay_function)
    assert not calls("relay", "another")
    assert not any(calls(way, guarded.settings.relay_function) for way in ("relay-fleet", "relay-itself"))


# ---- At its normal work, by its own code ----


def event(place: Place, key: str) -> Event:
    found = read(json.dumps(records(put(place.settings.input_bucket, key, 1024))))
    assert found is not None
    return found


@pytest.fixture
def home(tmp_path: Path) -> Home:
    folder = tmp_path / "results"
    folder.mkdir()
    return Home(folder)


def lies(place: Place, key: str) -> None:
    place.client("root", "s3").put_object(Bucket=place.settings.input_bucket, Key=key, Body=picture(RED))


def processor(place: Place) -> tuple[Processor, Any]:
    account = function.connect(place.settings)
    keeper = Keeper(account.people, account.blobs)
    keeper.refresh()
    recogniser = Recogniser(sees_colours, keeper, limits_of(place.settings))
    return Processor(recogniser, account.people, account.blobs), account


def test_by_itself_its_rights_are_enough(guarded: Place, home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    as_user(guarded, "root", monkeypatch)
    enrol(function.connect(guarded.settings).people)
    lies(guarded, "a.jpg")
    as_user(guarded, "relay-itself", monkeypatch)
    process, account = processor(guarded)
    do = Each(Work(process, account.blobs, account.objects, guarded.settings), home, guarded.settings)
    assert do(event(guarded, "a.jpg")).fate is Fate.DONE
    assert do(event(guarded, "gone.jpg")).fate is Fate.GONE
    assert (home.folder / "a.txt").read_text() == "mr_bean,lawyer,freshmen\n"
    takes_and_gives_up(guarded)


def test_by_a_fleet_its_rights_are_enough_and_so_are_a_worker_s(
    guarded: Place, home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = replace(guarded.settings, relay_timeout=1.0)
    lies(guarded, "a.jpg")
    as_user(guarded, "relay-fleet", monkeypatch)
    with doors(settings) as to:
        way = ByFleet(to.requests, Replies(to.replies, to.blobs), to.blobs, to.objects, home, settings)
        way.ask()
        assert way(event(guarded, "gone.jpg")).fate is Fate.GONE
        with way.running(), pytest.raises(Exception, match="comes again"):
            way(event(guarded, "a.jpg"))
    # What a worker is sent then it may read, and no other worker may.
    came = {"Bucket": settings.input_bucket, "Key": "a.jpg"}
    found = [is_allowed(guarded, worker, "s3", "get_object", came) for worker in ("worker-relay", "worker")]
    assert found == [True, False]
    takes_and_gives_up(guarded)


def takes_and_gives_up(place: Place) -> None:
    """What every way does with its own queue."""
    account = connect(place.settings)
    arrivals, dead = (account.queue(f"{place.settings.relay_input}{end}") for end in ("", "-dead"))
    dead.send("why")
    for message in arrivals.receive(limit=10):
        arrivals.extend_all([message], seconds=30.0)
        arrivals.release(message)
    assert arrivals.depth().backlog and dead.depth().backlog

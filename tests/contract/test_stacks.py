"""A stack: what would be done is told before, done once, watched to its end, and taken back where it fails."""

import json
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import boto3
import pytest

from bench import emulators
from facefleet.backends.aws.account.resources import Verb
from facefleet.backends.aws.account.stack_told import Event
from facefleet.backends.aws.account.stacks import Stack
from facefleet.errors import BadSettings, Unavailable

PARAMETERS = ("Name", "Lease")


@pytest.fixture(scope="module")
def cloudformation() -> Iterator[Any]:
    with emulators.account() as account:
        keys = {name.lower(): key for name, key in emulators.KEYS.items()}
        endpoint = account.env["AWS_ENDPOINT_URL_CLOUDFORMATION"]
        yield boto3.client("cloudformation", endpoint_url=endpoint, region_name=emulators.REGION, **keys)


@pytest.fixture
def stack(cloudformation: Any) -> Stack:
    return Stack(cloudformation, f"stack-{uuid4().hex[:8]}")


def template(**resources: Any) -> str:
    """A queue, and what else is said; `Name` and `Lease` are the queue's."""
    properties = {"QueueName": {"Ref": "Name"}, "VisibilityTimeout": {"Ref": "Lease"}}
    queue = {"Type": "AWS::SQS::Queue", "Properties": properties}
    return json.dumps(
        {
            "Parameters": {name: {"Type": "String"} for name in PARAMETERS},
            "Resources": {"Queue": queue, **resources},
            "Outputs": {"Url": {"Value": {"Ref": "Queue"}}},
        }
    )


#: What no account makes: it is to lie in a network that there is not.
IMPOSSIBLE = {"Type": "AWS::EC2::Subnet", "Properties": {"VpcId": "vpc-0123456789abcdef0", "CidrBlock": "10.0.0.0/24"}}


def told(stack: Stack, **parameters: str) -> dict[str, str]:
    return {"Name": f"{stack.name}-queue", "Lease": "30"} | parameters


def make(stack: Stack, **parameters: str) -> None:
    stack.carry_out(stack.plan(template(), told(stack, **parameters)))


def test_a_plan_of_a_new_stack_tells_what_is_made_and_leaves_nothing_once_dropped(stack: Stack) -> None:
    planned = stack.plan(template(), told(stack))
    assert planned.verb is Verb.MAKE and stack.found() is None
    assert [(change.what, change.kind, change.verb) for change in planned.changes] == [
        ("Queue", "AWS::SQS::Queue", Verb.MAKE)
    ]
    stack.drop(planned)
    stack.drop(stack.plan(template(), told(stack)))
    assert not stack.is_there()


def test_what_is_carried_out_stands_and_each_event_was_told_once(stack: Stack) -> None:
    events: list[Event] = []
    standing = stack.carry_out(stack.plan(template(), told(stack)), events.append)
    assert standing.status == "CREATE_COMPLETE" and standing.outputs["Url"].endswith(f"{stack.name}-queue")
    assert standing.parameters["Lease"] == "30"
    assert [event.status for event in events if event.what == "Queue"][-1] == "CREATE_COMPLETE"
    assert len(set(events)) == len(events)


def test_a_plan_that_changes_nothing_is_fine_and_leaves_no_change_set(stack: Stack, cloudformation: Any) -> None:
    make(stack)
    assert stack.plan(template(), told(stack)).verb is Verb.FINE
    sets = cloudformation.list_change_sets(StackName=stack.name)["Summaries"]
    assert [one for one in sets if one["Status"] == "FAILED"] == []


def test_a_changed_parameter_changes_what_it_is_about_and_nothing_else(stack: Stack) -> None:
    make(stack)
    planned = stack.plan(template(), told(stack, Lease="60"))
    assert [(change.what, change.verb, change.anew) for change in planned.changes] == [("Queue", Verb.CHANGE, False)]
    assert stack.carry_out(planned).parameters["Lease"] == "60"
    assert stack.plan(template(), told(stack, Lease="60")).verb is Verb.FINE


def test_what_holds_something_is_not_made_anew(stack: Stack, cloudformation: Any) -> None:
    make(stack)
    with pytest.raises(BadSettings, match="Queue would be made anew"):
        stack.plan(template(), told(stack, Name=f"{stack.name}-another"))
    left = [one["Status"] for one in cloudformation.list_change_sets(StackName=stack.name)["Summaries"]]
    assert left in ([], ["CREATE_COMPLETE"])


def test_a_change_that_fails_is_taken_back_and_the_first_reason_told(stack: Stack) -> None:
    make(stack)
    planned = stack.plan(template(Subnet=IMPOSSIBLE), told(stack, Lease="90"))
    with pytest.raises(Unavailable, match=r"Subnet \(AWS::EC2::Subnet\): .*vpc-"):
        stack.carry_out(planned)
    standing = stack.settled()
    assert standing is not None and standing.status == "UPDATE_ROLLBACK_COMPLETE"
    assert standing.parameters["Lease"] == "30"
    make(stack, Lease="90")


def test_a_first_try_that_failed_is_cleared_away_by_the_next(stack: Stack) -> None:
    with pytest.raises(Unavailable, match=r"Subnet \(AWS::EC2::Subnet\): .*vpc-"):
        stack.carry_out(stack.plan(template(Subnet=IMPOSSIBLE), told(stack)))
    planned = stack.plan(template(), told(stack))
    assert planned.verb is Verb.MAKE
    stack.carry_out(planned)
    assert stack.found() is not None


def test_a_template_that_is_none_is_told_in_words(stack: Stack) -> None:
    with pytest.raises((BadSettings, Unavailable), match=stack.name):
        stack.plan(json.dumps({"Resources": {"Odd": {"Type": "AWS::Nothing::AtAll"}}}), {})


def test_its_template_can_be_submitted_again(stack: Stack) -> None:
    make(stack)
    assert stack.plan(stack.template(), told(stack)).verb is Verb.FINE


def test_removed_twice_it_is_gone_once(stack: Stack) -> None:
    make(stack)
    stack.remove()
    stack.remove()
    assert stack.found() is None

"""A stack that moves is followed to its very end, whatever CloudFormation's answers come between."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.exceptions import ClientError

from facefleet.backends.aws.account import looks
from facefleet.backends.aws.account.resources import Verb
from facefleet.backends.aws.account.stack_told import Event, Planned, Unchanged
from facefleet.backends.aws.account.stack_watch import UNANSWERED
from facefleet.backends.aws.account.stacks import Stack, Stuck
from facefleet.backends.aws.faults import Expired
from facefleet.errors import ServiceError, Throttled, Unavailable

PLANNED = Planned("x-fleet", Verb.CHANGE, change_set="plan")


class CloudFormation:
    """A stack whose story goes on by a step, (status, an event's reason), at each call that is named.

    At "stacks", once it was told how it stands; "meanwhile" is before that, and since its events were asked for.
    """

    def __init__(self, status: str, *story: tuple[str, str, str]) -> None:
        self.status, self.story = status, list(story)
        self.events: list[dict[str, str]] = []
        self.refusals: dict[str, list[str]] = {}
        self.deleted: list[str] = []
        self.plans: list[dict[str, Any]] = []
        self.resources: list[dict[str, str]] = []

    def go_on(self, call: str) -> None:
        if codes := self.refusals.get(call):
            raise ClientError({"Error": {"Code": codes.pop(0), "Message": "no"}}, call)
        if self.story and self.story[0][0] == call:
            _, self.status, reason = self.story.pop(0)
            self.events.insert(0, self.event(reason))

    def event(self, reason: str) -> dict[str, str]:
        told = {"EventId": f"{len(self.events)}", "LogicalResourceId": "x", "ResourceStatus": self.status}
        return told | {"ResourceStatusReason": reason}

    def describe_stacks(self, **_: str) -> dict[str, Any]:
        while self.story and self.story[0][0] == "meanwhile":
            self.go_on("meanwhile")
        told = {"StackId": "arn:x", "StackStatus": self.status, "StackStatusReason": "why"}
        self.go_on("stacks")
        return {"Stacks": [told]}

    def describe_stack_events(self, **_: str) -> dict[str, Any]:
        self.go_on("events")
        return {"StackEvents": list(self.events)}

    def describe_stack_resources(self, **_: str) -> dict[str, Any]:
        return {"StackResources": self.resources}

    def execute_change_set(self, **_: str) -> None:
        self.go_on("execute")

    def list_change_sets(self, **_: str) -> dict[str, Any]:
        return {"Summaries": self.plans}

    def delete_change_set(self, **_: str) -> None:
        pass

    def delete_stack(self, *, StackName: str) -> None:
        self.deleted.append(StackName)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Callable[[], float]:
    """Seconds that were slept away, in no time."""
    slept = [0.0]
    monkeypatch.setattr(looks.time, "monotonic", lambda: slept[0])
    monkeypatch.setattr(looks.time, "sleep", lambda seconds: slept.__setitem__(0, slept[0] + seconds))
    return lambda: slept[0]


def changed(cloudformation: CloudFormation) -> list[str]:
    events: list[Event] = []
    Stack(cloudformation, "x-fleet").carry_out(PLANNED, events.append)
    return [event.status for event in events]


def test_a_stack_that_has_just_begun_to_change_is_not_taken_for_one_that_has_changed(clock: Any) -> None:
    """It stood as before when it was looked at, and began before its events were."""
    begins = CloudFormation("UPDATE_COMPLETE", ("stacks", "UPDATE_IN_PROGRESS", ""))
    begins.story += [("stacks", "UPDATE_FAILED", "bad"), ("stacks", "UPDATE_ROLLBACK_COMPLETE", "")]
    with pytest.raises(Unchanged, match="bad"):
        changed(begins)


def test_the_reason_that_came_with_the_end_is_told(clock: Any) -> None:
    ends = CloudFormation("UPDATE_COMPLETE", ("execute", "UPDATE_IN_PROGRESS", ""))
    ends.story += [("meanwhile", "UPDATE_FAILED", "no room"), ("meanwhile", "UPDATE_ROLLBACK_COMPLETE", "")]
    with pytest.raises(Unchanged, match="no room"):
        changed(ends)


def test_what_came_to_rest_between_two_calls_is_at_rest(clock: Callable[[], float]) -> None:
    """Another's change ends after it was seen to go on, and before its events were asked for."""
    rests = CloudFormation("UPDATE_IN_PROGRESS", ("stacks", "UPDATE_COMPLETE", ""))
    standing = Stack(rests, "x-fleet").settled()
    assert standing is not None and standing.status == "UPDATE_COMPLETE" and clock() < 1.0


def test_calls_that_are_refused_for_a_while_are_no_failure_of_the_stack(clock: Any) -> None:
    busy = CloudFormation("UPDATE_COMPLETE", ("execute", "UPDATE_IN_PROGRESS", ""), ("events", "UPDATE_COMPLETE", ""))
    busy.story.insert(1, ("events", "UPDATE_IN_PROGRESS", ""))
    busy.refusals["stacks"] = ["Throttling"] * 3
    assert changed(busy)[-1] == "UPDATE_COMPLETE"


@pytest.mark.parametrize(("code", "error"), [("Throttling", Throttled), ("ExpiredToken", Expired)])
def test_calls_that_go_on_to_be_refused_end_it_and_old_credentials_do_at_once(
    clock: Callable[[], float], code: str, error: type[ServiceError]
) -> None:
    deaf = CloudFormation("UPDATE_COMPLETE", ("execute", "UPDATE_IN_PROGRESS", ""))
    deaf.refusals["stacks"] = [code] * 1000
    with pytest.raises(error):
        changed(deaf)
    assert (clock() == 0.0) if error is Expired else (UNANSWERED < clock() < UNANSWERED + 10.0)


@pytest.mark.parametrize("code", ["ChangeSetNotFound", "InvalidChangeSetStatus"])
def test_a_plan_that_somebody_else_was_faster_with_is_told_as_that_and_not_as_a_failure(clock: Any, code: str) -> None:
    overtaken = CloudFormation("UPDATE_IN_PROGRESS")
    overtaken.refusals["execute"] = [code]
    with pytest.raises(Unavailable, match="somebody else") as refusal:
        changed(overtaken)
    assert not isinstance(refusal.value, Unchanged)


def test_the_plan_of_somebody_else_outlives_ours() -> None:
    reviewed = CloudFormation("REVIEW_IN_PROGRESS")
    reviewed.plans = [{"ChangeSetName": "theirs", "CreationTime": datetime.now(UTC)}]
    Stack(reviewed, "x-fleet").drop(PLANNED)
    assert reviewed.deleted == []
    reviewed.plans.clear()
    Stack(reviewed, "x-fleet").drop(PLANNED)
    assert reviewed.deleted == ["x-fleet"]


def test_what_a_failed_try_has_left_behind_is_not_the_stacks_whoever_has_it_now() -> None:
    """Or a destruction would empty the bucket that somebody made since."""
    failed = CloudFormation("ROLLBACK_COMPLETE")
    states = ("CREATE_COMPLETE", "DELETE_COMPLETE", "CREATE_FAILED", "DELETE_FAILED")
    failed.resources = [
        {"PhysicalResourceId": state.lower(), "ResourceType": "AWS::S3::Bucket", "ResourceStatus": state}
        for state in states
    ]
    assert set(Stack(failed, "x-store").members()) == {"create_complete", "delete_failed"}


@pytest.mark.parametrize(
    ("status", "how"),
    [
        ("UPDATE_ROLLBACK_FAILED", "continue-update-rollback --stack-name x-y-store"),
        ("ROLLBACK_FAILED", "delete-stack --stack-name x-y-store"),
        ("DELETE_FAILED", "facefleet destroy --name x-y,"),
    ],
)
def test_a_stack_that_is_stuck_is_told_with_how_to_help_it(status: str, how: str) -> None:
    with pytest.raises(Stuck, match=how) as refusal:
        Stack(CloudFormation(status), "x-y-store").plan("{}", {})
    assert not isinstance(refusal.value, Unavailable), "no waiting heals it"

"""A stack of CloudFormation: what a change would do to it, asked first; then done, and watched to its end."""

import secrets
import time
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from facefleet.backends.aws.account.looks import looks
from facefleet.backends.aws.account.resources import Verb
from facefleet.backends.aws.account.stack_told import (
    Change,
    Event,
    Planned,
    Standing,
    Unchanged,
    as_change,
    as_standing,
    as_text,
    first_reason,
    is_moving,
    losing,
)
from facefleet.backends.aws.account.stack_watch import Tell, Watch
from facefleet.backends.aws.faults import code_of, translated
from facefleet.errors import BadSettings, ServiceError, Unavailable

#: Seconds until CloudFormation has compared.
COMPARED_WITHIN = 300.0
#: Made, and never executed: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_Stack.html
REVIEW, GONE = "REVIEW_IN_PROGRESS", "DELETE_COMPLETE"
#: A first try that failed: nothing of it can be changed, and nothing of it is left that holds anything.
NEVER_STOOD = frozenset({"ROLLBACK_COMPLETE", "CREATE_FAILED"})
GOOD = frozenset({"CREATE_COMPLETE", "UPDATE_COMPLETE", "IMPORT_COMPLETE"})
STUCK = {
    "UPDATE_ROLLBACK_FAILED": "aws cloudformation continue-update-rollback --stack-name {name}",
    "ROLLBACK_FAILED": "aws cloudformation delete-stack --stack-name {name}",
    "DELETE_FAILED": "facefleet destroy --name {deployment}",
}
#: What was planned is no more, or CloudFormation is about another plan.
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/APIReference/API_ExecuteChangeSet.html
OVERTAKEN = ("ChangeSetNotFound", "InvalidChangeSetStatus")
#: A resource that was rolled back or removed: another of its name is not the stack's.
NOT_THERE = ("CREATE_FAILED", "DELETE_COMPLETE", "DELETE_SKIPPED")
#: CloudFormation's words for "all is as it should be": it calls that a failure.
NO_CHANGES = ("didn't contain changes", "No updates are to be performed")
#: What our plans' names begin with, and the seconds after which nobody is asked about one any more.
PLAN, OLD_PLAN = "facefleet-", 3600.0
CAPABILITIES = ["CAPABILITY_IAM"]


class Stuck(ServiceError):
    """The stack cannot be changed before somebody has helped it: the words say how."""

    code = "stuck"


class Stack:
    """The stack of this name, there or not."""

    def __init__(self, cloudformation: Any, name: str) -> None:
        self._calls = cloudformation
        self.name = name

    def found(self) -> Standing | None:
        """None where there is none, or merely the plan of one."""
        standing = self._seen()
        return None if standing is None or standing.status == REVIEW else standing

    def _seen(self, id: str = "") -> Standing | None:
        with translated(f"looking at the stack {self.name}"):
            try:
                described = self._calls.describe_stacks(StackName=id or self.name)["Stacks"]
            except ClientError as e:
                if code_of(e) == "ValidationError" and "does not exist" in str(e):
                    return None
                raise
        return as_standing(described[0]) if described and described[0]["StackStatus"] != GONE else None

    def settled(self, tell: Tell = lambda _: None) -> Standing | None:
        """As it stands once nothing is under way, whoever began that."""
        standing = self.found()
        if standing is not None and is_moving(standing):
            id = standing.id
            # That it moves was seen: its last event may be told already.
            standing = Watch(self._calls, id).await_rest(lambda: self._seen(id), tell, has_begun=True)
        return standing

    def is_there(self) -> bool:
        """Even if there is no more than a plan of it."""
        return self._seen() is not None

    def members(self) -> dict[str, str]:
        """The kind of each resource that it has, by its own name, a bucket's say; empty where there is no stack."""
        standing = self._seen()
        if standing is None:
            return {}
        with translated(f"looking what is in the stack {self.name}"):
            told = self._calls.describe_stack_resources(StackName=self.name)["StackResources"]
        there = (one for one in told if one.get("ResourceStatus") not in NOT_THERE and one.get("PhysicalResourceId"))
        return {one["PhysicalResourceId"]: one["ResourceType"] for one in there}

    def template(self) -> str:
        """As it was submitted last."""
        with translated(f"reading the template of the stack {self.name}"):
            body = self._calls.get_template(StackName=self.name, TemplateStage="Original")["TemplateBody"]
        return as_text(body)

    def plan(self, template: str, parameters: Mapping[str, str]) -> Planned:
        """What CloudFormation would do; changes nothing. `drop` it, or `carry_out`.

        Raises `BadSettings` where something would be made anew, and lose what is in it.
        """
        standing = self.settled()
        if standing is not None and standing.status in STUCK:
            how = STUCK[standing.status].format(name=self.name, deployment=self.name.rpartition("-")[0])
            raise Stuck(f"the stack {self.name} is stuck ({standing.status}: {standing.reason}): {how}, then try again")
        self._forget_plans()
        if standing is not None and standing.status in NEVER_STOOD:
            self.remove()
            standing = None
        planned = self._compared(template, parameters, is_new=standing is None)
        if lost := losing(planned.changes):
            self.drop(planned)
            raise BadSettings(
                f"{', '.join(lost)} would be made anew, and what is there now would be lost: leave the names as they "
                "are, or make a deployment of another --name"
            )
        return planned

    def _forget_plans(self) -> None:
        """Those of runs that were killed; whoever made one a moment ago may still be asked about it."""
        if not self.is_there():
            return
        with translated(f"looking at the plans of the stack {self.name}"):
            for one in self._calls.list_change_sets(StackName=self.name)["Summaries"]:
                is_old = time.time() - one["CreationTime"].timestamp() > OLD_PLAN
                if (
                    is_old
                    and one["ChangeSetName"].startswith(PLAN)
                    and one.get("ExecutionStatus") != "EXECUTE_COMPLETE"
                ):
                    self._calls.delete_change_set(ChangeSetName=one["ChangeSetId"], StackName=self.name)

    def _compared(self, template: str, parameters: Mapping[str, str], *, is_new: bool) -> Planned:
        with translated(f"planning the stack {self.name}"):
            id = self._calls.create_change_set(
                StackName=self.name,
                ChangeSetName=f"{PLAN}{secrets.token_hex(8)}",
                ChangeSetType="CREATE" if is_new else "UPDATE",
                TemplateBody=template,
                Parameters=[{"ParameterKey": key, "ParameterValue": value} for key, value in parameters.items()],
                Capabilities=CAPABILITIES,
            )["Id"]
            told = self._await_comparison(id)
            if told["Status"] != "FAILED":
                return Planned(self.name, Verb.MAKE if is_new else Verb.CHANGE, self._changes(id), id)
        self.drop(Planned(self.name, Verb.FINE, change_set=id))
        if any(words in told.get("StatusReason", "") for words in NO_CHANGES):
            return Planned(self.name, Verb.FINE)
        raise BadSettings(f"CloudFormation does not take the stack {self.name}: {told.get('StatusReason')}")

    def _await_comparison(self, id: str) -> dict[str, Any]:
        for _ in looks(COMPARED_WITHIN):
            told: dict[str, Any] = self._calls.describe_change_set(ChangeSetName=id, StackName=self.name)
            if told["Status"] in ("CREATE_COMPLETE", "FAILED"):
                return told
        raise Unavailable(f"CloudFormation did not plan the stack {self.name} in {COMPARED_WITHIN:.0f} s: try again")

    def _changes(self, id: str) -> tuple[Change, ...]:
        found: list[Change] = []
        token: dict[str, str] = {}
        while True:
            page = self._calls.describe_change_set(ChangeSetName=id, StackName=self.name, **token)
            found += [as_change(one["ResourceChange"]) for one in page.get("Changes", ()) if "ResourceChange" in one]
            if not page.get("NextToken"):
                return tuple(found)
            token = {"NextToken": page["NextToken"]}

    def drop(self, planned: Planned) -> None:
        """As if nobody had asked."""
        if not planned.change_set:
            return
        with translated(f"forgetting the plan of the stack {self.name}"):
            self._calls.delete_change_set(ChangeSetName=planned.change_set, StackName=self.name)
            standing = self._seen()
            if standing is None or standing.status != REVIEW:
                return
            # Somebody else may be asked about theirs.
            if not self._calls.list_change_sets(StackName=self.name)["Summaries"]:
                self._calls.delete_stack(StackName=self.name)

    def carry_out(self, planned: Planned, tell: Tell = lambda _: None) -> Standing:
        """The stack as planned; raises `Unchanged` with the first reason where that failed, and was taken back."""
        failures: list[Event] = []

        def heed(event: Event) -> None:
            if event.status.endswith("FAILED"):
                failures.append(event)
            tell(event)

        watch = Watch(self._calls, self.name)
        self._execute(planned)
        standing = watch.await_rest(self._seen, heed)
        if standing is None or standing.status not in GOOD:
            raise Unchanged(f"the stack {self.name} was not changed: {first_reason(failures, standing)}")
        return standing

    def _execute(self, planned: Planned) -> None:
        with translated(f"changing the stack {self.name}"):
            try:
                self._calls.execute_change_set(
                    ChangeSetName=planned.change_set,
                    StackName=self.name,
                    # The same where an answer is lost and botocore asks again.
                    ClientRequestToken=f"{PLAN}{secrets.token_hex(8)}",
                )
            except ClientError as e:
                if code_of(e) not in OVERTAKEN:
                    raise
                raise Unavailable(
                    f"the stack {self.name} was not changed: somebody else changes it, or has, since this was planned. "
                    "Try again"
                ) from e

    def remove(self, tell: Tell = lambda _: None) -> None:
        """With all that is in it; one that is gone is no error."""
        standing, failures = self._seen(), list[Event]()
        if standing is None:
            return
        watch = Watch(self._calls, standing.id)
        with translated(f"removing the stack {self.name}"):
            self._calls.delete_stack(StackName=self.name)

        def heed(event: Event) -> None:
            if event.status == "DELETE_FAILED":
                failures.append(event)
            tell(event)

        # By its id: under its name, one that is gone is not to be found.
        left = watch.await_rest(lambda: self._seen(standing.id), heed)
        if left is not None:
            raise Unavailable(f"the stack {self.name} is not gone: {first_reason(failures, left)}")

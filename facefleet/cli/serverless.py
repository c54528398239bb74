"""`facefleet deploy --serverless`: recognition without machines, on an account of AWS; and its upgrade."""

import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import click

from facefleet.backends.aws.account.resources import Verb
from facefleet.backends.aws.account.rolling import TakenBack
from facefleet.backends.aws.account.serverless import IN_COMMON, OF_ITS_OWN, FunctionWish
from facefleet.backends.aws.account.serverless_account import FunctionAccount
from facefleet.backends.aws.account.serverless_cost import FunctionEstimate, function_estimate
from facefleet.backends.aws.account.site import Wanted
from facefleet.backends.aws.account.stack_told import Planned
from facefleet.cli.deploying import Choices, in_short
from facefleet.cli.plans import Steps, report, rows, show, steps
from facefleet.cli.serverless_door import await_answer, trouble
from facefleet.errors import BadSettings, NotFound, Unavailable
from facefleet.settingtext import PREFIX

KEY = "aws secretsmanager get-secret-value --secret-id {secret} --query SecretString --output text"
#: What is told at the end, by what the stack calls it.
TOLD = {
    "url": "Url",
    "function_url": "FunctionUrl",
    "secret": "ApiKeySecret",
    "input_bucket": "InputBucket",
    "output_bucket": "OutputBucket",
    "request_queue": "RequestQueue",
    "arrivals": "Arrivals",
    "response_queue": "ResponseQueue",
    "dead_letters": "DeadLetters",
}


def deploy_function(name: str, choices: Choices, given: Mapping[str, object], *, show_key: bool = False) -> None:
    """The function made, or changed, and asked until it answers."""
    choices.check()
    account = FunctionAccount(name)
    with steps(quiet=choices.as_json) as told:
        wish = account.wish(os.environ, given, told.event)
    account.check(wish)
    _say(_bring(account, wish, choices), account, choices, show_key=show_key)


def upgrade_function(name: str, choices: Choices, image: str | None) -> None:
    """Made from another image; from the one before, where none is given."""
    choices.check()
    account = FunctionAccount(name)
    with steps(quiet=choices.as_json) as told:
        standing = account.told(told.event)
        if not standing:
            raise NotFound(f"there is no function {name}: facefleet deploy --serverless makes one")
        before = standing["PreviousImage"]
        if image is None and not before:
            raise BadSettings("no image from before is known: say which, with --image")
        wish = account.wish({}, {"image": image or before}, told.event)
    if image is None:
        wish = replace(wish, options=replace(wish.options, previous_image=""))
    _say(_bring(account, wish, choices), account, choices)


@dataclass(frozen=True, slots=True)
class Plan:
    stack: Planned
    cost: FunctionEstimate

    @property
    def is_fine(self) -> bool:
        return self.stack.verb is Verb.FINE

    def as_json(self, *, done: bool) -> dict[str, Any]:
        return {"stacks": [report(self.stack)], "estimate": self.cost.as_json, "done": done}


def _bring(account: FunctionAccount, wish: FunctionWish, choices: Choices) -> dict[str, Any]:
    """What was planned and done, as JSON has it: once it returns, and nobody said no, it is so."""
    plan = Plan(account.plan(wish), function_estimate(wish, region=account.account.region))
    is_agreed = False
    try:
        is_agreed = _is_agreed(plan, choices)
    finally:
        if not is_agreed:
            account.stack.drop(plan.stack)
    if is_agreed:
        _carry_out(account, plan.stack, choices)
    return plan.as_json(done=is_agreed and not plan.is_fine)


def _is_agreed(plan: Plan, choices: Choices) -> bool:
    """Whether to go on, which needs no question where there is nothing to do."""
    if not choices.as_json:
        show(rows(plan.stack), plan.cost.in_short)
    if choices.dry_run:
        return False
    if not (choices.yes or plan.is_fine):
        click.confirm("Do this?", abort=True)
    return True


def _carry_out(account: FunctionAccount, planned: Planned, choices: Choices) -> None:
    before = account.before()
    with steps(quiet=choices.as_json) as told:
        if planned.verb is not Verb.FINE:
            account.stack.carry_out(planned, told.event)
        url = choices.url or account.outputs()["Url"]
        words = await_answer(partial(trouble, _folder(url), account.key), choices.patience, told.tell)
        if not words:
            return
        if before is None or planned.verb is Verb.FINE:
            raise Unavailable(
                f"the function stands, and does not answer: {words}. See its log lines "
                f"(aws logs tail /aws/lambda/{account.account.name}-function), then give another --image"
            )
        _go_back(account, before, told)
    raise TakenBack(f"what is new does not answer: {words}. All is as it was before")


def _go_back(account: FunctionAccount, before: Wanted, told: Steps) -> None:
    told.tell("going back to what was before")
    planned = account.stack.plan(before.template, before.parameters)
    if planned.verb is not Verb.FINE:
        account.stack.carry_out(planned, told.event)


def _folder(url: str) -> str:
    return f"{url.rstrip('/')}/"


def _say(done: dict[str, Any], account: FunctionAccount, choices: Choices, *, show_key: bool = False) -> None:
    if not choices.dry_run:
        told = account.outputs()
        done |= {word: told[key] for word, key in TOLD.items() if key in told}
        done["settings"] = _settings(account)
        done |= {"key": account.key} if show_key else {}
    click.echo(json.dumps(done) if choices.as_json else "\n".join([in_short(done, choices), *_next_steps(done)]))


def _settings(account: FunctionAccount) -> dict[str, str]:
    """What commands that go straight to its buckets and people must be told: the names may not be those of here."""
    told = account.told()
    names = {setting: told[key] for key, setting in (OF_ITS_OWN | IN_COMMON).items()}
    return {f"{PREFIX}{setting.upper()}": name for setting, name in {"backend": "aws", **names}.items()}


def _next_steps(done: Mapping[str, Any]) -> Iterator[str]:
    if "url" not in done:
        return
    yield f"The function answers at {done['url']}"
    if "function_url" in done:
        yield f"It answers, too, at {done['function_url']}"
    yield f"Its key: {done['key']}" if "key" in done else f"Its key: {KEY.format(secret=done['secret'])}"
    yield f"Clips and photos go to s3://{done['input_bucket']}; answers are in s3://{done['output_bucket']}"
    yield f"Then: export {' '.join(f'{name}={value}' for name, value in done['settings'].items())}"
    yield "facefleet roster load students.json --store"
    yield f"FACEFLEET_URL={done['url']} FACEFLEET_API_KEY=… facefleet send photo.jpg"

"""Brings a deployment to what is asked for: plans, asks, does, and says where the service is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import urlsplit

import click

from facefleet.backends.aws.account.canaries import Canaries
from facefleet.backends.aws.account.cost import Estimate, estimate
from facefleet.backends.aws.account.deployment import Account, Wish
from facefleet.backends.aws.account.prechecks import check_account, check_words
from facefleet.backends.aws.account.resources import Verb
from facefleet.backends.aws.account.rolling import Pace, roll
from facefleet.backends.aws.account.rollout import Action, Way, decide
from facefleet.backends.aws.account.rollout import Verb as Deed
from facefleet.backends.aws.account.site import AwsSite
from facefleet.backends.aws.account.stack_told import Planned
from facefleet.cli.plans import report, row_of, rows, show, steps
from facefleet.cli.public import Public


@dataclass(frozen=True, slots=True)
class Choices:
    """How one is asked and told. `url`: where to look for the service, if not where the stack says."""

    yes: bool
    dry_run: bool
    as_json: bool
    patience: float
    url: str = ""

    def check(self) -> None:
        if self.as_json and not (self.yes or self.dry_run):
            raise click.UsageError("--json answers no questions: add --yes or --dry-run")


@dataclass
class Deploying:
    """One run of `deploy` or `upgrade`."""

    account: Account
    wish: Wish
    choices: Choices
    folder: Path
    _root: Path | None = field(default=None)

    @cached_property
    def site(self) -> AwsSite:
        settings = self.wish.settings
        clients, bucket = self.account.clients, settings.state_bucket
        kind = settings.instance_types.partition(",")[0].strip()
        return AwsSite(
            clients,
            self.account.fleet,
            self.account.wanted(self.wish),
            self.account.before(self.wish),
            bucket,
            Canaries(clients, settings.instance_name, bucket, kind),
            self.ask,
        )

    @cached_property
    def way(self) -> Way:
        """A new image is tried first, where there is something that a bad one could harm."""
        before = self.site.before
        return Way(tries=before is not None and before.parameters["Image"] != self.wish.options.image)

    def ask(self, proof: str) -> str:
        trouble, domain = self.public.trouble(proof), self.wish.options.domain
        if not (trouble and domain):
            return trouble
        # Nobody can know it before the first deployment has made it.
        return f"{trouble}; {domain} must lead to {self.account.outputs()['Address']}, by an A record"

    @cached_property
    def public(self) -> Public:
        return Public(url_of(self.account, self.choices), lambda: self.account.key, self.root)

    def root(self) -> Path | None:
        """What to trust; None where everybody's certificates will do. Raises `Unavailable` where there is none yet."""
        if self.wish.options.domain or is_elsewhere(self.choices.url, self.account.outputs()):
            return None
        if self._root is None:
            file = self.folder / "root.crt"
            file.write_bytes(self.account.certificate(self.wish.settings.state_bucket))
            self._root = file
        return self._root


def told_by(account: Account, choices: Choices) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """What both stacks were told; where somebody is about them, one sees what is waited for."""
    with steps(quiet=choices.as_json) as told:
        return account.told(told.event)


def url_of(account: Account, choices: Choices) -> str:
    told = account.outputs()
    return f"{(choices.url if is_elsewhere(choices.url, told) else told['Url']).rstrip('/')}/"


def is_elsewhere(url: str, told: Mapping[str, str]) -> bool:
    """Whether it leads past the deployment's own address, which whoever uses the service has set as FACEFLEET_URL."""
    return bool(url) and urlsplit(url).hostname not in (told["Address"], urlsplit(told["Url"]).hostname)


@dataclass(frozen=True, slots=True)
class Plan:
    store: Planned
    fleet: Planned
    machines: Action
    cost: Estimate

    @property
    def is_fine(self) -> bool:
        return self.store.verb is self.fleet.verb is Verb.FINE and self.machines.verb is Deed.DONE

    def as_json(self) -> dict[str, Any]:
        stacks = [report(self.store), report(self.fleet)]
        return {"stacks": stacks, "machines": row_of(self.machines).why, "estimate": self.cost.as_json}


def bring(account: Account, wish: Wish, choices: Choices) -> dict[str, Any]:
    """What was planned and done, as JSON has it: once it returns, and nobody said no, it is so."""
    choices.check()
    check_words(wish)
    check_account(account, wish)
    with TemporaryDirectory() as folder:
        deploying = Deploying(account, wish, choices, Path(folder))
        plan, is_agreed = _plan(deploying), False
        try:
            is_agreed = _is_agreed(plan, choices)
        finally:
            if not is_agreed:
                account.store.drop(plan.store)
        if is_agreed:
            _carry_out(deploying, plan)
    return {**plan.as_json(), "done": is_agreed and not plan.is_fine}


def _plan(deploying: Deploying) -> Plan:
    account, wish = deploying.account, deploying.wish
    wanted = deploying.site.wanted
    fleet = account.fleet.plan(wanted.template, wanted.parameters)
    # Made anew when it is its turn: what the other stack tells may be new then.
    account.fleet.drop(fleet)
    deploying.site.note(fits=fleet.verb is Verb.FINE)
    world = deploying.site.look()
    machines = decide(world, deploying.way)
    if world.is_rolled:
        deploying.site.before = None
    cost = estimate(wish.settings, wish.options, region=account.region)
    return Plan(account.plan_store(wish), fleet, machines, cost)


def _is_agreed(plan: Plan, choices: Choices) -> bool:
    """Whether to go on, which needs no question where there is nothing to do."""
    if not choices.as_json:
        those = [*rows(plan.store), *rows(plan.fleet)]
        if plan.fleet.verb is not Verb.MAKE:
            those.append(row_of(plan.machines))
        show(those, plan.cost.in_short)
    if choices.dry_run:
        return False
    if not (choices.yes or plan.is_fine):
        click.confirm("Do this?", abort=True)
    return True


def _carry_out(deploying: Deploying, plan: Plan) -> None:
    account, choices, site = deploying.account, deploying.choices, deploying.site
    with steps(quiet=choices.as_json) as told:
        if plan.store.verb is not Verb.FINE:
            account.store.carry_out(plan.store, told.event)
            site.wanted = account.wanted(deploying.wish)
        site.tell = told.event
        roll(site, deploying.way, pace=Pace(choices.patience), tell=told.action)


def in_short(done: Mapping[str, Any], choices: Choices) -> str:
    if choices.dry_run:
        return "nothing was done"
    return "done" if done["done"] else "all is fine: nothing to do"

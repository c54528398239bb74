"""The loop over a real fleet on EC2: a warm pool is made ready, and made anew when the launch template changes."""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from services import until

from bench.emulators import Emulator
from controller.classic import CLASSIC
from controller.ledger import Ledger
from controller.policy import Terms
from controller.reconcile import Controller
from controller.status import Status
from controller.steps import Limits
from facefleet.backends.aws.fleet import Ec2Fleet
from facefleet.backends.aws.versions import ASK_EVERY
from facefleet.model import Depth, Heartbeat, InstanceState, WorkerState

from .amazon import Account
from .workers import await_none, states

WARM, MOST = 3, 4


@pytest.fixture
def account(cloud: Emulator) -> Iterator[Account]:
    account = Account(cloud, warm_pool=WARM)
    yield account
    account.close()
    fleet = account.fleet()
    fleet.end(list(states(fleet)))
    await_none(fleet)


@dataclass
class Loop:
    """A controller of the account's fleet. A worker is heard of as soon as its instance runs."""

    account: Account
    depth: Depth = Depth(0, 0)
    least: int = 0
    later: float = 0.0
    ledger: Ledger = field(default_factory=Ledger)
    told: list[Status] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.fleet = Ec2Fleet(self.account.ec2, self.account.settings, clock=lambda: time.monotonic() + self.later)
        self.controller = Controller(
            lambda: self.depth,
            self.fleet,
            self.heartbeats,
            self.save,
            self.told.append,
            CLASSIC,
            Terms(self.least, MOST, hold=0.0),
            Limits(pool=self.account.settings.instance_name, warm_least=WARM),
            ledger=self.ledger,
        )

    def save(self, ledger: Ledger) -> None:
        self.ledger = ledger

    def heartbeats(self) -> tuple[Heartbeat, ...]:
        now = time.time()
        up = [id for id, one in self.account.mine().items() if one["state"] == "running"]
        return tuple(Heartbeat(id, WorkerState.IDLE, 0, now, now) for id in up)

    def upgrade(self) -> None:
        self.account.upgrade()
        self.later += ASK_EVERY

    def comes_to(self, *, running: int, stopped: int) -> bool:
        self.controller.tick(time.time())
        seen = [(one.state, one.is_stale) for one in self.fleet.instances()]
        fresh = [(InstanceState.RUNNING, False)] * running + [(InstanceState.STOPPED, False)] * stopped
        return sorted(seen) == sorted(fresh)


def test_a_warm_pool_is_made_ready_and_anew_after_an_upgrade(account: Account) -> None:
    loop = Loop(account)
    until(lambda: loop.comes_to(running=0, stopped=WARM))
    made = set(account.mine())
    assert len(made) == WARM
    loop.upgrade()
    until(lambda: loop.comes_to(running=0, stopped=WARM))
    assert len(account.mine()) == 2 * WARM, "as many as are needed, and no more"
    assert {account.mine()[id]["state"] for id in made} == {"terminated"}
    assert any("makes the warm pool ready" in status.reason for status in loop.told)


def test_those_at_work_are_replaced_and_the_next_controller_goes_on_with_it(account: Account) -> None:
    loop = Loop(account, least=2)
    until(lambda: loop.comes_to(running=2, stopped=1))
    loop.upgrade()
    for _ in range(3):
        loop.controller.tick(time.time())
    loop = Loop(account, least=2, later=loop.later, ledger=loop.ledger)
    until(lambda: loop.comes_to(running=2, stopped=1))
    assert max(sum(s.instances[state] for state in InstanceState if state != "stopped") for s in loop.told) <= MOST

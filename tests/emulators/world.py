"""The world behind moto's EC2: its instances take their time, and a process may stand in for each machine."""

import copy
import threading
import time
from random import Random

from doubles import Doubles
from moto.autoscaling.models import autoscaling_backends
from moto.core.utils import utcnow
from moto.ec2.models import ec2_backends
from moto.ec2.models.instances import Instance

#: moto's own, which has no steps.
MOTO_TERMINATE = Instance.terminate
ACCOUNT, REGION = "123456789012", "us-east-1"
CODES = {"pending": 0, "running": 16, "shutting-down": 32, "terminated": 48, "stopping": 64, "stopped": 80}


class World:
    """Seconds that each step takes; `page`: how many reservations a list has; `lag`: how old lists are."""

    def __init__(self) -> None:
        self.boot = self.stop = self.end = 0.02
        #: Seconds at most by which an instance comes up later than another.
        self.jitter = 0.0
        self.page = 1000
        self.lag = 0.0
        #: Share of calls that find no capacity, or types of instances, and "spot", that there are none of.
        self.no_capacity: float | list[str] = 0.0
        self.chance = Random(1)
        self.metadata = ""
        self.skips_shutdown = False
        self.tokens: dict[str, tuple[str, object]] = {}
        self.doubles = Doubles()
        #: Held by each call and each step: moto's models are made for one thread.
        self.lock = threading.RLock()

    @property
    def ec2(self):
        return ec2_backends[ACCOUNT][REGION]

    @property
    def autoscaling(self):
        return autoscaling_backends[ACCOUNT][REGION]

    def change(self, settings: dict[str, object]) -> None:
        for name, value in settings.items():
            of = self.doubles if name in ("command", "env", "grace", "log") else self
            if not hasattr(of, name):
                raise ValueError(f"this world has no {name}")
            setattr(of, name, value)
        if "no_capacity" in settings:
            # A group goes on trying to be as large as it should be.
            for group in self.autoscaling.autoscaling_groups.values():
                group.set_desired_capacity(group.desired_capacity)

    def refuses(self, types: set[str]) -> bool:
        if isinstance(self.no_capacity, list):
            return bool(types & set(self.no_capacity))
        return self.chance.random() < self.no_capacity

    # Steps

    def enter(self, instance: Instance, state: str) -> None:
        instance._state.name, instance._state.code = state, CODES[state]
        self.remember(instance)

    def remember(self, instance: Instance) -> None:
        instance.past.append((time.monotonic(), copy.copy(instance._state), instance.launch_time, instance._reason))

    def come_up(self, instance: Instance) -> None:
        self.enter(instance, "pending")
        self.doubles.admit(instance)
        self.later(instance, self.boot + self.jitter * self.chance.random(), lambda: self.run(instance))

    def run(self, instance: Instance) -> None:
        self.enter(instance, "running")
        self.doubles.start(instance.id, f"{self.metadata}/imds/{instance.id}/")

    def terminated(self, instance: Instance) -> None:
        MOTO_TERMINATE(instance)
        for address in self.ec2.addresses:
            if address.instance is instance:
                self.ec2.disassociate_address(address=address.public_ip)
        self.doubles.forget(instance.id)
        self.remember(instance)

    def leave(self, instance: Instance, state: str, seconds: float, then) -> None:
        instance._reason = f"User initiated ({utcnow():%Y-%m-%d %H:%M:%S} GMT)"
        self.enter(instance, state)
        self.later(instance, seconds, then, before=lambda: self.doubles.drain(instance.id))

    def later(self, instance: Instance, seconds: float, then, *, before=lambda: None) -> None:
        """Unless it takes another step meanwhile."""
        step = len(instance.past)

        def run() -> None:
            before()
            time.sleep(seconds)
            with self.lock:
                if len(instance.past) == step:
                    then()

        threading.Thread(target=run, daemon=True).start()

    def lose(self, id: str) -> None:
        """The machine is gone, without a word to whom it served."""
        instance = self.ec2.get_instance(id)
        self.doubles.kill(id)
        if instance.state == "terminated":
            return
        self.terminated(instance)
        instance._reason = "Server.SpotInstanceTermination: Spot instance termination"
        self.autoscaling.notify_terminate_instances([id])

    def powered_off(self, id: str) -> None:
        """The machine went down by itself, in order."""
        instance = self.ec2.get_instance(id)
        with self.lock:
            ends = instance.lifecycle == "spot" or instance.instance_initiated_shutdown_behavior == "terminate"
            if instance.state == "running":
                instance.terminate() if ends else instance.stop()

    def reclaim(self, id: str) -> None:
        """EC2 takes a spot instance back: it goes down in order."""
        instance = self.ec2.get_instance(id)
        instance.terminate()
        instance._reason = "Server.SpotInstanceTermination: Spot instance termination"
        self.autoscaling.notify_terminate_instances([id])

    def view(self, instance: Instance) -> Instance | None:
        """As it was some time ago; None if it was not yet."""
        then = [past for past in instance.past if past[0] <= time.monotonic() - self.lag]
        if not then:
            return None
        seen = copy.copy(instance)
        _, seen._state, seen.launch_time, seen._reason = then[-1]
        return seen


WORLD = World()

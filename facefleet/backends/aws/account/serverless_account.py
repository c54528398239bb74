"""Where a function is deployed: its stack, beside those of a fleet of the same name, if there is one."""

import re
from collections.abc import Mapping
from functools import cached_property

from facefleet.backends.aws.account.callers import caller_of
from facefleet.backends.aws.account.deployment import Account, parameters_of, refuse_misplaced, told_before
from facefleet.backends.aws.account.function_image import by_digest
from facefleet.backends.aws.account.prechecks import NAME
from facefleet.backends.aws.account.resources import resources
from facefleet.backends.aws.account.serverless import NONE, SERVERLESS, FunctionWish, Shared, function_wish
from facefleet.backends.aws.account.site import Wanted
from facefleet.backends.aws.account.stack_told import Planned
from facefleet.backends.aws.account.stack_watch import Tell
from facefleet.backends.aws.account.stacks import NEVER_STOOD
from facefleet.backends.aws.account.templates import rendered
from facefleet.backends.aws.account.wanted import LEASE
from facefleet.backends.aws.queue import SqsQueue
from facefleet.backends.aws.s3_keys import BUCKET_NAME
from facefleet.errors import BadSettings, NotFound

#: SQS quota, less "-dead": https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html
QUEUE_NAME = re.compile(r"[\w-]{1,75}", re.ASCII)
ANOTHER = "Set another one for the function"
#: Lambda quota, in MB, and the least that our memory is sure to fit:
#: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
LEAST_MEMORY, MOST_MEMORY = 512, 10_240


class FunctionAccount:
    """The account and the region that boto3's settings lead to."""

    def __init__(self, name: str) -> None:
        self.account = Account(name)
        self.stack = self.account.serverless

    def wish(self, env: Mapping[str, str], given: Mapping[str, object], tell: Tell = lambda _: None) -> FunctionWish:
        """What is given now, over what was before, the image by its digest; waits for what is under way."""
        refuse_misplaced(env)
        told = self.told(tell)
        store, fleet = self.account.told(tell)
        # One that has people of its own keeps them, whatever came to stand beside it.
        shared = self._shared(store) if told.get("ApiKeySecret") != NONE else None
        if image := given.get("image"):
            given = {**given, "image": by_digest(caller_of("ecr"), str(image), region=self.account.region)}
        wish = function_wish(self.account.name, told, shared, told_before((store, fleet)), env, given)
        _check_words(wish, given)
        return wish

    def told(self, tell: Tell = lambda _: None) -> Mapping[str, str]:
        """Its stack's parameters, once nothing is under way; empty where there is none."""
        return parameters_of(self.stack.settled(tell))

    def _shared(self, store: Mapping[str, str]) -> Shared | None:
        standing = self.account.store.found() if store else None
        if standing is None:
            return None
        return Shared(standing.outputs["ApiKeySecret"], standing.outputs["AlarmTopic"], store)

    def check(self, wish: FunctionWish) -> None:
        """Raises `BadSettings` where a name of what is to be made stands already, or what is to go holds something."""
        standing = self.stack.found()
        if standing is not None and standing.status not in NEVER_STOOD:
            self._check_relays_queues(standing.parameters, wish)
            return
        ours = (one for one in resources(self.account.clients, wish.settings) if not (wish.shared and one.holds_people))
        if there := [one.what for one in ours if one.found() is not None]:
            raise BadSettings(
                f"{', '.join(there)}: there already, and not of the stack {self.stack.name}. Set other names "
                "(FACEFLEET_…_BUCKET, …), or remove what `facefleet setup` made: facefleet setup --teardown"
            )

    def _check_relays_queues(self, told: Mapping[str, str], wish: FunctionWish) -> None:
        arrivals = told.get("Arrivals", "")
        if not arrivals or wish.options.relay:
            return
        for name in (arrivals, f"{arrivals}-dead", f"{told['ResponseQueue']}-dead"):
            if waiting := self._messages_in(name):
                raise BadSettings(
                    f"{waiting} messages are in the queue {name}, which would go: let a relay finish, "
                    "`facefleet relay retry` what failed, or purge it"
                )

    def _messages_in(self, queue: str) -> int:
        try:
            return SqsQueue(self.account.clients.sqs, queue, visibility_timeout=LEASE).depth().backlog
        except NotFound:
            return 0

    def plan(self, wish: FunctionWish) -> Planned:
        return self.stack.plan(rendered(SERVERLESS), wish.parameters)

    def before(self) -> Wanted | None:
        """Where one goes back to; None where nothing stands."""
        standing = self.stack.found()
        if standing is None or standing.status in NEVER_STOOD:
            return None
        return Wanted(self.stack.template(), standing.parameters)

    def outputs(self) -> Mapping[str, str]:
        standing = self.stack.found()
        return {} if standing is None else standing.outputs

    @cached_property
    def key(self) -> str:
        """Whose it is may do everything: it is shown to nobody who does not ask for it."""
        return self.account.key_of(self.outputs()["ApiKeySecret"])


def _check_words(wish: FunctionWish, given: Mapping[str, object]) -> None:
    """Raises `BadSettings` for what cannot be used; makes no call."""
    settings, options = wish.settings, wish.options
    if not NAME.fullmatch(options.name):
        raise BadSettings(f"--name {options.name}: at most 31 small letters, digits and hyphens, a letter first")
    if not LEAST_MEMORY <= options.memory <= MOST_MEMORY:
        raise BadSettings(f"--memory is in MB, from {LEAST_MEMORY} to {MOST_MEMORY}")
    if options.budget is not None and options.budget < 0:
        raise BadSettings("--budget is in dollars a month, and 0 is none")
    if wish.shared and (theirs := [name for name in ("email", "budget") if given.get(name) is not None]):
        raise BadSettings(f"--{theirs[0]} is the fleet's, whose alarms tell of the function, too: give it to that")
    if not settings.columns.isascii():
        # CloudFormation tells question marks for all else when a parameter is read again.
        raise BadSettings(f"FACEFLEET_COLUMNS {settings.columns} cannot be told to a function: ASCII letters alone can")
    for name in (settings.input_bucket, settings.output_bucket, settings.state_bucket):
        if not BUCKET_NAME.fullmatch(name):
            raise BadSettings(f"{name} is no name of a bucket: 3 to 63 small letters, digits, dots, hyphens. {ANOTHER}")
    for name in (settings.request_queue, settings.response_queue):
        if not QUEUE_NAME.fullmatch(name):
            raise BadSettings(f"{name} is no name of a queue here: at most 75 letters, digits, _ and -. {ANOTHER}")

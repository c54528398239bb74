"""A function taken away: its buckets emptied, and its stack removed; people's data goes only where that is said."""

from collections.abc import Iterable

from facefleet.backends.aws.account.buckets import Bucket
from facefleet.backends.aws.account.deployment import Account, parameters_of
from facefleet.backends.aws.account.resources import Step, Verb, resources
from facefleet.backends.aws.account.serverless import NONE, TOLD
from facefleet.backends.aws.account.tables import Table
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX


def function_settings(account: Account) -> Settings | None:
    """What the function was told; None where there is none."""
    told = parameters_of(account.serverless.settled())
    if not told:
        return None
    named = {f"{PREFIX}{setting.upper()}": told[key] for key, setting in TOLD.items() if key in told}
    return Settings.from_env(named | {f"{PREFIX}BACKEND": "aws"})


def has_people(account: Account) -> bool:
    """Whether the people whom it knows are its own, and go with it."""
    return parameters_of(account.serverless.found()).get("ApiKeySecret", NONE) == NONE


def of_function(account: Account) -> Iterable[Step]:
    """What keeps its stack from being removed, then the stack. Beside a fleet it holds what S3 forgets in days."""
    if not account.serverless.is_there():
        return
    settings, members, with_people = function_settings(account), account.serverless.members(), has_people(account)
    for one in resources(account.clients, settings) if settings else ():
        is_there = one.what.partition(" ")[2] in members and one.found() is not None
        if is_there and isinstance(one, Bucket):
            yield Step(f"all that is in {one.what}", Verb.REMOVE, {}, None, one.empty, with_people)
        elif is_there and isinstance(one, Table):
            yield Step(f"protection of {one.what}", Verb.REMOVE, {}, None, one.unprotect, with_people)
    remove = account.serverless.remove
    yield Step(f"stack {account.serverless.name}", Verb.REMOVE, {}, None, remove, with_people)

"""What OpenStack refuses, in our words: named by what the caller can do about it."""

import re
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import islice

from keystoneauth1.exceptions import ClientException, Unauthorized
from openstack.exceptions import HttpException, SDKException

from facefleet.errors import NoCapacity, NotFound, ServiceError, Throttled, Unavailable


class Denied(Unavailable):
    """The user may not do this: give it the role that the message names."""

    code = "denied"


class WrongState(Unavailable):
    """The server does something else now, or is locked: ask again once that is over."""

    code = "wrong_state"


class Refused(Unavailable):
    """What was asked for cannot be done: correct the setting that the message names."""

    code = "refused"


#: Nova's and neutron's words for a quota that is used up; their 403 stands for a missing role as well.
#: https://docs.openstack.org/nova/latest/user/quotas.html
QUOTA = re.compile(r"quota|maximum number|limit.{0,20}exceeded|too many", re.IGNORECASE)
#: "Policy doesn't allow os_compute_api:servers:create to be performed."
RULE = re.compile(r"allow (\S+) to be performed")
#: Characters of what is told: a proxy's page may stand where a sentence was due.
MOST_SAID = 500
#: Whose setting a refusal speaks of, by Nova's words.
SETTINGS = {
    "key_name": "FACEFLEET_OPENSTACK_KEY",
    "key pair": "FACEFLEET_OPENSTACK_KEY",
    "availability zone": "FACEFLEET_OPENSTACK_ZONES",
    "security group": "FACEFLEET_OPENSTACK_GROUPS",
    "user_data": "FACEFLEET_OPENSTACK_USER_DATA",
    "user data": "FACEFLEET_OPENSTACK_USER_DATA",
    "network": "FACEFLEET_OPENSTACK_NETWORKS",
    "flavor": "FACEFLEET_OPENSTACK_FLAVORS",
    "image": "FACEFLEET_OPENSTACK_IMAGE",
}


@contextmanager
def translated(what: str) -> Iterator[None]:
    """Raises what happens within as our errors; `what` is being done, as "stopping ID"."""
    try:
        yield
    except HttpException as e:
        raise in_our_words(e, what) from e
    except Unauthorized as e:
        raise Unavailable(f"{what}: keystone refuses the user: correct its password or project ({e})") from e
    except (ClientException, SDKException, ValueError, LookupError, TypeError, AttributeError) as e:
        # The last four are none of the library's own: a proxy's page, say, where JSON of servers was due.
        raise Unavailable(f"{what}: OpenStack does not answer ({e})") from e


def in_our_words(error: HttpException, what: str) -> ServiceError:
    status, said = error.status_code or 0, " ".join(str(error.details or error).split())[:MOST_SAID]
    headers = {} if error.response is None else error.response.headers
    if status == 429 or (status == 413 and ("Retry-After" in headers or not QUOTA.search(said))):
        return Throttled(f"{what}: asked too often ({status}): again after {headers.get('Retry-After', 'some')} s")
    if status in (403, 413):
        return NoCapacity(f"{what}: {said}") if QUOTA.search(said) else _denied(what, said)
    if status == 401:
        return Unavailable(f"{what}: OpenStack refuses our token ({said})")
    if status == 404:
        return NotFound(f"{what}: {said}")
    if status == 409:
        # Of a create: which of several networks, say.
        return WrongState(f"{what}: {said}{_hint(said) if what.startswith('launching') else ''}")
    if 400 <= status < 500:
        return Refused(f"{what}: {said}{_hint(said)}")
    return Unavailable(f"{what}: OpenStack does not answer ({status}: {said})")


def _denied(what: str, said: str) -> Denied:
    rule = RULE.search(said)
    role = "reader" if what.startswith(("listing", "looking")) else "member"
    why = f"the rule {rule[1]} needs it" if rule else said
    return Denied(f"{what}: the user may not: give it the role `{role}` in the project ({why})")


def _hint(said: str) -> str:
    """Which setting to correct, where Nova's words tell."""
    found = next((setting for words, setting in SETTINGS.items() if words in said.lower()), None)
    return f": correct {found}" if found else ""


@contextmanager
def lacking(*errors: type[ServiceError]) -> Iterator[None]:
    """Raises `NoCapacity`, in OpenStack's words, for what it will not do: the next on offer is asked for."""
    try:
        yield
    except errors as e:
        raise NoCapacity(e.detail) from e


def each(call: Callable[[str], object], ids: Iterable[str], width: int) -> None:
    """Asks for all, so many at a time; one that is refused keeps nobody else. Raises the first refusal, at the end.

    Where nobody answers, or answers no more, the others are not asked.
    """
    rest, refused = iter(ids), list[ServiceError]()
    while chunk := list(islice(rest, width)):
        with ThreadPoolExecutor(len(chunk)) as pool:
            refused += [error for error in pool.map(lambda id: _refusal(call, id), chunk) if error is not None]
        if any(type(error) in (Unavailable, Throttled) for error in refused):
            break
    if refused:
        raise refused[0]


def _refusal(call: Callable[[str], object], id: str) -> ServiceError | None:
    try:
        call(id)
    except ServiceError as e:
        return e
    return None

"""Which version of its launch template an instance was made of, and which one those are made of that come now."""

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from facefleet.backends.aws.faults import translated
from facefleet.backends.aws.instances import Listed
from facefleet.errors import ServiceError

log = logging.getLogger(__name__)

#: EC2 tags each instance itself with the template that it came of:
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/launch-templates.html
TEMPLATE, VERSION = "aws:ec2launchtemplate:id", "aws:ec2launchtemplate:version"
#: Seconds for which an answer is taken as it was: asked at each look, it would be half of all calls of an idle fleet.
ASK_EVERY = 60.0
#: How a launch template's version may be named, by what stands in its description.
NAMED = {"$Default": "DefaultVersionNumber", "$Latest": "LatestVersionNumber"}

Made = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What was answered when: the version of which instances are made now, None where nobody knows.

    `seen`: what those were made of that were listed then. Another one that shows up later is news of the template.
    """

    at: float = float("-inf")
    made_now: Made | None = None
    seen: frozenset[Made] = frozenset()

    def is_over(self, made: Iterable[Made], now: float) -> bool:
        return not 0 <= now - self.at < ASK_EVERY or not self.seen.issuperset(made)


class Versions:
    """Remembers what EC2 told last of a launch template."""

    def __init__(self, ec2: Any, clock: Callable[[], float] = time.monotonic) -> None:
        self._ec2, self._clock = ec2, clock
        self._asked = Asked()

    def told(self, listed: Mapping[str, Listed], **template: str) -> dict[str, Listed]:
        """The same instances, and which of them are stale; none, where that is not known or nobody is there.

        `template`: `name` or `id`, and `version`, a number or one of `NAMED`.
        """
        made = frozenset(of for one in listed.values() if (of := made_of(one)) is not None)
        if not made:
            return dict(listed)
        if self._asked.is_over(made, now := self._clock()):
            self._asked = Asked(now, self._made_now(**template), made)
        return {id: as_made(one, self._asked.made_now) for id, one in listed.items()}

    def _made_now(self, *, version: str, **template: str) -> Made | None:
        wanted = {f"LaunchTemplate{key.title()}s": [word] for key, word in template.items()}
        try:
            with translated(f"looking for the launch template {' '.join(template.values())}"):
                (found,) = self._ec2.describe_launch_templates(**wanted)["LaunchTemplates"]
        except (ServiceError, ValueError) as e:
            # Who is replaced for nothing costs a start; who stays a while longer, nothing.
            is_news = self._asked.made_now is not None or not self._asked.seen
            log.log(logging.WARNING if is_news else logging.DEBUG, "which instances are stale, nobody knows: %s", e)
            return None
        return found["LaunchTemplateId"], str(found[NAMED[version]] if version in NAMED else version)


def made_of(one: Listed) -> Made | None:
    """Template and version; None for one that was launched without, by hand."""
    template, version = one.tags.get(TEMPLATE), one.tags.get(VERSION)
    return (template, version) if template and version else None


def as_made(one: Listed, made_now: Made | None) -> Listed:
    """With whether it is stale."""
    is_stale = made_now is not None and made_of(one) not in (made_now, None)
    if is_stale is one.instance.is_stale:
        return one
    return replace(one, instance=replace(one.instance, is_stale=is_stale))

"""The warm pool of a deployment: how many stopped instances wait that are as the stack says."""

import json
from collections.abc import Callable

from facefleet import keys
from facefleet.backends.aws.account.launching import VERSION, Templates
from facefleet.backends.aws.account.looks import looks
from facefleet.backends.aws.clients import Clients
from facefleet.backends.aws.faults import Expired, translated
from facefleet.backends.aws.instances import FLEET, find
from facefleet.errors import NotFound, Unavailable
from facefleet.settings import Settings

#: Seconds: each of them boots once, is seen working, and stops, and a tick launches but some.
PATIENCE = 1800.0


def await_warm(
    clients: Clients,
    settings: Settings,
    template: str,
    tell: Callable[[int, str], object],
    *,
    patience: float = PATIENCE,
) -> int:
    """Returns once as many wait as the settings want; raises `Unavailable` where they do not come."""
    templates, count = Templates(clients.ec2), 0
    # The controller counts those that always run among those to have: they never stop.
    wanted = max(0, settings.warm_least - settings.min_instances)
    for _ in looks(patience):
        try:
            count, reason = warm(clients, settings, template, templates), reason_of(clients, settings)
        except Expired:
            raise
        except Unavailable as e:
            # It takes half an hour: AWS may be asked again.
            reason = str(e)
        tell(count, reason)
        if count >= wanted:
            return count
    raise Unavailable(
        f"{count} of {wanted} instances wait, stopped, after {patience:.0f} s ({reason}): the controller "
        "goes on; `facefleet status` and its log tell why"
    )


def warm(clients: Clients, settings: Settings, template: str, templates: Templates) -> int:
    ours = {f"tag:{FLEET}": [settings.instance_name], "instance-state-name": ["stopped"]}
    versions = [one.tags.get(VERSION, "") for one in find(clients.ec2, ours).values()]
    return sum(templates.fits(template, version) for version in versions)


def reason_of(clients: Clients, settings: Settings) -> str:
    """Why the fleet is as it is, in the controller's words."""
    try:
        with translated("reading the fleet's status"):
            blob = clients.s3.get_object(Bucket=settings.state_bucket, Key=keys.FLEET_STATUS)["Body"].read()
    except NotFound:
        return "no controller has told anything yet"
    return str(json.loads(blob).get("reason", ""))

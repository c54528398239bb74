"""A connection to the cloud that `clouds.yaml` or `OS_` variables describe; its token is renewed by itself."""

from typing import Any

from keystoneauth1.exceptions import ClientException
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from openstack.exceptions import ConfigException

from facefleet import __version__
from facefleet.errors import BadSettings
from facefleet.settings import Settings

#: Seconds until a call that nobody answers is given up; Nova takes some tenths, a create on a busy one seconds. The
#: first call is two: the library asks for Nova's version before.
CALL_TIMEOUT = 10.0
#: The library's own repeats. A create whose answer was lost must not be sent again by anybody who has not looked first,
#: and the controller asks for all else again, later and with jitter.
NO_REPEATS: dict[str, Any] = {
    f"{service}_{kind}_retries": 0
    for service in ("compute", "image", "network", "identity")
    for kind in ("connect", "status_code")
}
#: What each kind of password is called in `clouds.yaml`; other ways to sign in, the library checks itself.
SECRETS = {"password": "password", "v3password": "password", "v2password": "password"}
#: What the library calls a cloud that variables alone describe.
OF_ENVIRONMENT = ("envvars", "defaults")
WHERE = (
    "name a cloud of clouds.yaml by FACEFLEET_OPENSTACK_CLOUD or OS_CLOUD, "
    "or set OS_AUTH_URL, OS_USERNAME, OS_PASSWORD, OS_PROJECT_NAME and OS_REGION_NAME"
)


def connect(settings: Settings) -> Connection:
    """Makes no call; raises `BadSettings` where there is no cloud, or nothing to sign in to it with."""
    name = settings.openstack_cloud
    try:
        found = OpenStackConfig(app_name="facefleet", app_version=__version__).get_one(
            cloud=name or None, api_timeout=CALL_TIMEOUT, **NO_REPEATS
        )
    except (ConfigException, ClientException) as e:
        raise BadSettings(f"OpenStack: {said(e)}: {WHERE}") from e
    except (OSError, AttributeError, TypeError, ValueError) as e:
        # The library's, of a file that is no list of clouds; one that is no YAML it tells of, and goes on without.
        raise BadSettings(f"OpenStack: clouds.yaml cannot be read: {said(e)}") from e
    _check(found.name, found.config, found.region_name)
    return Connection(config=found)


def place_of(connection: Connection) -> str:
    """Where it is said which cloud this is, and which it is, for who is to correct that."""
    config = connection.config
    url = config.config.get("auth", {}).get("auth_url", "")
    if config.name in OF_ENVIRONMENT:
        return f"the OS_ variables ({url})"
    return f"the cloud {config.name} of {OpenStackConfig().config_filename or 'clouds.yaml'} ({url})"


def said(error: Exception) -> str:
    """The library's words, on one line."""
    return " ".join(str(error).split()).rstrip(".")


def _check(name: str, config: dict[str, Any], region: str | None) -> None:
    """What the library would learn only from keystone, by a refusal that does not say what is missing."""
    secret = SECRETS.get(config.get("auth_type", ""))
    if secret and not config.get("auth", {}).get(secret):
        raise BadSettings(
            f"OpenStack: the cloud {name} has no password: give it one in clouds.yaml, or set OS_PASSWORD"
        )
    if not region:
        raise BadSettings(f"OpenStack: the cloud {name} has no region_name: give it one, or set OS_REGION_NAME")

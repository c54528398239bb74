"""What would fail in the middle of a deployment, looked at before anything is made."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from botocore.exceptions import ClientError

from facefleet.backends.aws.account.deployment import Account, Wish
from facefleet.backends.aws.account.resources import resources
from facefleet.backends.aws.account.stacks import NEVER_STOOD
from facefleet.backends.aws.faults import code_of, translated
from facefleet.errors import BadSettings

DOMAIN = re.compile(r"([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]([a-z0-9-]*[a-z0-9])?")
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cfn-using-console-create-stack-parameters.html, less
#: what "-controller" and names of other kinds take of their own limits.
NAME = re.compile(r"[a-z][a-z0-9-]{0,30}")


def check_words(wish: Wish) -> None:
    """Raises `BadSettings` for an option that cannot be used; makes no call."""
    options = wish.options
    if not NAME.fullmatch(options.name):
        raise BadSettings(f"--name {options.name}: at most 31 small letters, digits and hyphens, a letter first")
    if options.domain and not DOMAIN.fullmatch(options.domain):
        raise BadSettings(f"--domain {options.domain} is no domain: give one as faces.example.org, without https://")
    if options.budget is not None and options.budget < 0:
        raise BadSettings("--budget is in dollars a month, and 0 is none")


def check_account(account: Account, wish: Wish) -> None:
    """Raises `BadSettings` where the image or a name will not do."""
    ec2 = account.clients.ec2
    _check_image(ec2, wish, account.region)
    _check_names(account, wish)


def _check_image(ec2: Any, wish: Wish, region: str) -> None:
    image = described_image(ec2, wish.options.image, region)
    if image["State"] != "available":
        raise BadSettings(f"the image {wish.options.image} is {image['State']}, not available yet: wait, and try again")
    built_for = str(image.get("Architecture", "x86_64"))
    if strangers := [kind for kind, can in _architectures(ec2, _types(wish)).items() if built_for not in can]:
        raise BadSettings(
            f"the image {wish.options.image} is for {built_for}, and {', '.join(strangers)} cannot run it: give other "
            "types, or an image for theirs"
        )


def described_image(ec2: Any, image: str, region: str) -> Mapping[str, Any]:
    with translated(f"looking for the image {image}"):
        try:
            found: list[dict[str, Any]] = ec2.describe_images(ImageIds=[image])["Images"]
        except ClientError as e:
            if not code_of(e).startswith("InvalidAMIID"):
                raise
            found = []
    if not found:
        raise BadSettings(f"there is no image {image} in {region}: build one (ami/README.md), or copy it there")
    return found[0]


def _types(wish: Wish) -> list[str]:
    workers = [kind.strip() for kind in wish.settings.instance_types.split(",") if kind.strip()]
    return list(dict.fromkeys([wish.options.web_type, wish.options.controller_type, *workers]))


def _architectures(ec2: Any, kinds: Iterable[str]) -> dict[str, list[str]]:
    with translated("looking at instance types"):
        try:
            told = ec2.describe_instance_types(InstanceTypes=list(kinds))["InstanceTypes"]
        except ClientError as e:
            if not code_of(e).startswith("InvalidInstanceType"):
                raise
            raise BadSettings(f"{e.response['Error'].get('Message', 'no such instance type')}: give others") from e
    return {one["InstanceType"]: list(one["ProcessorInfo"]["SupportedArchitectures"]) for one in told}


def _check_names(account: Account, wish: Wish) -> None:
    """Of a store that is to be made: nothing of its names may stand already."""
    standing = account.store.found()
    if standing is not None and standing.status not in NEVER_STOOD:
        return
    there = [one.what for one in resources(account.clients, wish.settings) if one.found() is not None]
    if there:
        raise BadSettings(
            f"{', '.join(there)}: there already, and not of the stack {account.store.name}. Set other names "
            "(FACEFLEET_…_BUCKET, …), or remove what `facefleet setup` made: facefleet setup --teardown"
        )

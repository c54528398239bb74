"""What the metadata service tells an instance about itself.

https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/instancedata-data-categories.html
"""

import base64
import json
from datetime import UTC, datetime, timedelta

from moto.ec2.models.instances import Instance
from moto.iam.models import iam_backends
from world import ACCOUNT, REGION, WORLD

#: A role's keys are good for hours, and are others then.
KEYS_LAST = timedelta(hours=6)


def facts(id: str) -> dict[str, str]:
    """By path below `latest/`; nothing of one that moto does not know."""
    with WORLD.lock:
        instance = next((one for one in WORLD.ec2.all_instances() if one.id == id), None)
        if instance is None:
            return {"meta-data/instance-id": id}
        return {**_itself(instance), **_user_data(instance), **_keys(instance), **_role(instance)}


def _itself(instance: Instance) -> dict[str, str]:
    itself = {
        "ami-id": instance.image_id,
        "instance-id": instance.id,
        "instance-type": instance.instance_type,
        "instance-life-cycle": instance.lifecycle or "on-demand",
        "local-ipv4": instance.private_ip,
        "public-ipv4": instance.public_ip or "",
        "local-hostname": instance.private_dns_name,
        "placement/availability-zone": instance.availability_zone,
        "placement/region": REGION,
    }
    document = {
        "accountId": ACCOUNT,
        "architecture": instance.architecture,
        "availabilityZone": instance.availability_zone,
        "imageId": instance.image_id,
        "instanceId": instance.id,
        "instanceType": instance.instance_type,
        "privateIp": instance.private_ip,
        "region": REGION,
    }
    found = {f"meta-data/{name}": value for name, value in itself.items() if value}
    return found | {"dynamic/instance-identity/document": json.dumps(document)}


def _user_data(instance: Instance) -> dict[str, str]:
    encoded = str(instance.user_data or "")
    return {"user-data": base64.b64decode(encoded).decode()} if encoded else {}


def _keys(instance: Instance) -> dict[str, str]:
    pair = WORLD.ec2.key_pairs.get(instance.key_name)
    if pair is None:
        return {}
    return {
        "meta-data/public-keys/": f"0={pair.key_name}",
        "meta-data/public-keys/0/openssh-key": f"{pair.public_key.strip()} {pair.key_name}\n",
    }


def _role(instance: Instance) -> dict[str, str]:
    role = _role_name(instance)
    if role is None:
        return {}
    now = datetime.now(UTC)
    keys = {
        "Code": "Success",
        "Type": "AWS-HMAC",
        "LastUpdated": iso(now),
        "Expiration": iso(now + KEYS_LAST),
        "AccessKeyId": "testing",
        "SecretAccessKey": "testing",
        "Token": f"of-{role}",
    }
    base = "meta-data/iam/security-credentials/"
    return {base: role, f"{base}{role}": json.dumps(keys)}


def _role_name(instance: Instance) -> str | None:
    associations = WORLD.ec2.iam_instance_profile_associations
    if instance.id in associations:
        roles = associations[instance.id].iam_instance_profile.roles
        return roles[0].name if roles else None
    said = instance.iam_instance_profile or {}
    name = said.get("Name") or said.get("Arn", "").rpartition("/")[2]
    profiles = iam_backends[ACCOUNT]["aws"].instance_profiles.values()
    return next((one.roles[0].name for one in profiles if one.name == name and one.roles), None)


def iso(at: datetime) -> str:
    return f"{at:%Y-%m-%dT%H:%M:%SZ}"

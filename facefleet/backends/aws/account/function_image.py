"""A function's container image, in ECR: found, and named by what it is, since a tag may be another one tomorrow."""

import re
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from facefleet.backends.aws.faults import code_of, translated
from facefleet.errors import BadSettings

URI = re.compile(
    r"(?P<registry>\d{12})\.dkr\.ecr\.(?P<region>[a-z0-9-]+)\.amazonaws\.com(\.cn)?/(?P<repository>[a-z0-9._/-]+?)"
    r"(:(?P<tag>[\w.-]{1,128})|@(?P<digest>sha256:[0-9a-f]{64}))"
)
NOT_THERE = ("RepositoryNotFoundException", "ImageNotFoundException")
HOW = "deploy/push.sh puts one there, and tells its name"


@dataclass(frozen=True, slots=True)
class Uri:
    """`123456789012.dkr.ecr.us-east-1.amazonaws.com/facefleet-function@sha256:…`, or by a tag."""

    place: str
    registry: str
    region: str
    repository: str
    tag: str
    digest: str

    @classmethod
    def read(cls, text: str) -> "Uri":
        found = URI.fullmatch(text)
        if found is None:
            raise BadSettings(
                f"--image {text} is no image that a function can be made from: give one in ECR, as "
                f"ACCOUNT.dkr.ecr.REGION.amazonaws.com/REPOSITORY@sha256:…; {HOW}"
            )
        parts = {name: part or "" for name, part in found.groupdict().items()}
        return cls(text.partition("/")[0], **parts)


def by_digest(ecr: Any, image: str, *, region: str) -> str:
    """The image by what it is; raises `BadSettings` where there is none."""
    uri = Uri.read(image)
    if uri.region != region:
        raise BadSettings(f"the image {image} is in {uri.region}, and a function in {region} needs it there: {HOW}")
    asked = {"imageDigest": uri.digest} if uri.digest else {"imageTag": uri.tag}
    with translated(f"looking for the image {image}"):
        try:
            found = ecr.describe_images(registryId=uri.registry, repositoryName=uri.repository, imageIds=[asked])
        except ClientError as e:
            if code_of(e) not in NOT_THERE:
                raise
            found = {"imageDetails": []}
    if not found["imageDetails"]:
        raise BadSettings(f"there is no image {image}: {HOW}")
    return f"{uri.place}/{uri.repository}@{found['imageDetails'][0]['imageDigest']}"

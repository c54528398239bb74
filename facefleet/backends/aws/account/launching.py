"""Launch templates of a stack: which version is launched, and whether an instance is as the newest one says."""

from typing import Any

from facefleet.backends.aws.faults import translated

#: EC2 tags each instance that came of a template:
#: https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-tagging.html
TEMPLATE, VERSION = "aws:ec2launchtemplate:id", "aws:ec2launchtemplate:version"
LATEST = "$Latest"


class Templates:
    """By their ids. What a version says never changes, and is read once."""

    def __init__(self, ec2: Any) -> None:
        self._ec2 = ec2
        self._data: dict[tuple[str, str], dict[str, Any]] = {}

    def fits(self, template: str, version: str) -> bool:
        """Whether this version says what the newest says, whatever their numbers: a change may have been taken back."""
        latest = self._described(template)["LatestVersionNumber"]
        return version == str(latest) or self._says(template, version) == self._says(template, str(latest))

    def default_fits(self, template: str) -> bool:
        described = self._described(template)
        return self.fits(template, str(described["DefaultVersionNumber"]))

    def make_default(self, template: str) -> None:
        """Of those that say what the newest says, the first: what came of it then need not be made anew."""
        versions = self._versions(template)
        wanted = self._says(template, str(max(versions)))
        first = next(number for number in sorted(versions) if self._says(template, str(number)) == wanted)
        with translated(f"having instances launched as {template} says"):
            self._ec2.modify_launch_template(LaunchTemplateId=template, DefaultVersion=str(first))

    def _described(self, template: str) -> dict[str, Any]:
        with translated(f"looking at the launch template {template}"):
            answer = self._ec2.describe_launch_templates(LaunchTemplateIds=[template])
        found: dict[str, Any] = answer["LaunchTemplates"][0]
        return found

    def _versions(self, template: str) -> list[int]:
        with translated(f"looking at the versions of the launch template {template}"):
            pages = self._ec2.get_paginator("describe_launch_template_versions").paginate(LaunchTemplateId=template)
            found = [one for page in pages for one in page["LaunchTemplateVersions"]]
        self._data |= {(template, str(one["VersionNumber"])): one["LaunchTemplateData"] for one in found}
        return [int(one["VersionNumber"]) for one in found]

    def _says(self, template: str, version: str) -> dict[str, Any]:
        if (template, version) not in self._data:
            self._versions(template)
        # One that is no more says nothing that could be wanted.
        return self._data.get((template, version), {})

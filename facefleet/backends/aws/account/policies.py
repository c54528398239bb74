"""Each tier's IAM policy, as `deploy/policies/` holds it, with an account's own names in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from facefleet.settings import Settings

#: As CloudFormation's Fn::Sub writes them; `${!Name}` stands for `${Name}` itself.
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-sub.html
PLACEHOLDER = re.compile(r"\$\{(!?)([\w:.]+)\}")


@dataclass(frozen=True, slots=True)
class Account:
    """Where policies hold, and what was made there by others than `facefleet setup`."""

    id: str
    region: str
    partition: str = "aws"
    worker_role: str = "facefleet-worker"
    launch_template_id: str = "*"


def names(account: Account, settings: Settings) -> dict[str, str]:
    """What stands for each placeholder."""
    return {
        "AWS::AccountId": account.id,
        "AWS::Region": account.region,
        "AWS::Partition": account.partition,
        "WorkerRole": account.worker_role,
        "LaunchTemplateId": account.launch_template_id,
        "RequestQueue": settings.request_queue,
        "ResponseQueue": settings.response_queue,
        "InputBucket": settings.input_bucket,
        "OutputBucket": settings.output_bucket,
        "StateBucket": settings.state_bucket,
        "PeopleTable": settings.people_table,
        "InstanceName": settings.instance_name,
        "AutoScalingGroup": settings.auto_scaling_group,
    }


def rendered(policy: str, names: Mapping[str, str]) -> str:
    """The policy with each placeholder's name in its place; raises `KeyError` for one that has none."""
    return PLACEHOLDER.sub(lambda found: f"${{{found[2]}}}" if found[1] else names[found[2]], policy)

"""Each tier's IAM policy, as `deploy/policies/` holds it, with an account's own names in it."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from facefleet.settings import Settings

#: As CloudFormation's Fn::Sub writes them; `${!Name}` stands for `${Name}` itself. `deploy/fleet.yaml` has a parameter
#: or a resource of each of these names, so that a policy stands in it as it is here.
#: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/intrinsic-function-reference-sub.html
PLACEHOLDER = re.compile(r"\$\{(!?)([\w:.]+)\}")
#: What a deployment is called that nobody named.
DEPLOYMENT = "facefleet"


@dataclass(frozen=True, slots=True)
class Account:
    """Where policies hold, and what was made there by others than `facefleet setup`. `name`: the deployment's."""

    id: str
    region: str
    partition: str = "aws"
    name: str = DEPLOYMENT
    worker_role: str = "facefleet-worker"
    launch_template_id: str = "*"
    allocation_id: str = "*"
    api_key_arn: str = ""


def names(account: Account, settings: Settings) -> dict[str, str]:
    """What stands for each placeholder."""
    return {
        "AWS::AccountId": account.id,
        "AWS::Region": account.region,
        "AWS::Partition": account.partition,
        "Name": account.name,
        "WorkerRole": account.worker_role,
        "WorkerTemplate": account.launch_template_id,
        "Address.AllocationId": account.allocation_id,
        "ApiKeySecret": account.api_key_arn or _any_api_key(account),
        "RequestQueue": settings.request_queue,
        "ResponseQueue": settings.response_queue,
        "InputBucket": settings.input_bucket,
        "OutputBucket": settings.output_bucket,
        "StateBucket": settings.state_bucket,
        "PeopleTable": settings.people_table,
        "InstanceName": settings.instance_name,
        "AutoScalingGroup": settings.auto_scaling_group,
        "LogGroup": log_group(account.name, settings),
        "RelayInput": _name(settings.relay_input),
        "RelayOutput": _name(settings.relay_output or settings.response_queue),
        "RelayFunction": _function(settings.relay_function),
    }


def _any_api_key(account: Account) -> str:
    """CloudFormation begins the name of a secret that nobody named with what the template calls it."""
    return f"arn:{account.partition}:secretsmanager:{account.region}:{account.id}:secret:ApiKey-*"


def _name(queue: str) -> str:
    """Of a queue that may be told by its address."""
    return queue.rpartition("/")[2]


def _function(named: str) -> str:
    """The name, of a function that may be told by its ARN, and perhaps with an alias or a version."""
    return (named.split(":")[6] if named.startswith("arn:") else named).partition(":")[0]


def log_group(name: str, settings: Settings) -> str:
    """Where log lines of the deployment of that name go."""
    return settings.log_group or name


def rendered(policy: str, names: Mapping[str, str]) -> str:
    """The policy with each placeholder's name in its place; raises `KeyError` for one that has none."""
    return PLACEHOLDER.sub(lambda found: f"${{{found[2]}}}" if found[1] else names[found[2]], policy)

"""The templates of `deploy/` as CloudFormation takes them, and their parameters, made of the settings."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields
from math import ceil
from pathlib import Path
from typing import Any

import yaml

from facefleet.backends.aws.account.policies import DEPLOYMENT, PLACEHOLDER, log_group
from facefleet.backends.aws.account.wanted import RULE, WantedQueue, buckets, lifecycle, queues
from facefleet.errors import BadSettings
from facefleet.settings import Settings, env_name

STORE, FLEET = "store", "fleet"
FOLDER = Path(__file__).parents[4] / "deploy"
#: CloudFormation quotas: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html
MOST_TEMPLATE_BYTES = 51_200
MOST_PARAMETER_BYTES = 4096
#: Days that a log group may keep its lines.
#: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html
LOG_DAYS = (1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653)
#: Families of instances that earn CPU credits.
#: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/burstable-performance-instances.html
BURSTABLE = ("t2", "t3", "t3a", "t4g")
REGION = "AWS_DEFAULT_REGION"
#: What is about the machine that a command runs on, or that a deployment has of its own.
NOT_PASSED_ON = ("data", "models", "host", "port", "url", "subnets")


@dataclass(frozen=True, slots=True)
class Options:
    """What a deployment is told besides the settings.

    `budget`: dollars a month of the whole account; `plain_from`: the CIDR that may upload without TLS; `credits`: what
    a machine does without CPU credits, `unlimited`, as EC2 has it, which is paid for, or `standard`: it crawls.
    """

    image: str
    name: str = DEPLOYMENT
    web_type: str = "t3.small"
    controller_type: str = "t3.micro"
    domain: str = ""
    email: str = ""
    budget: float | None = None
    plain_from: str = ""
    credits: str = "unlimited"
    #: What the machines were made from before, to go back to.
    previous_image: str = ""


def stack_name(name: str, which: str) -> str:
    """`facefleet-store`."""
    return f"{name}-{which}"


def rendered(which: str) -> str:
    """The template, policies in their places, as the JSON that CloudFormation takes; the same for the same files."""
    file = FOLDER / f"{which}.yaml"
    if not file.exists():
        raise BadSettings(f"there is no {file}: run `facefleet deploy` in a checkout of facefleet, installed with -e")
    template = yaml.safe_load(file.read_text())
    template["Metadata"].pop("cfn-lint", None)
    text = json.dumps(_included(template, template["Metadata"].pop("facefleet", {})), separators=(",", ":"))
    if len(text.encode()) > MOST_TEMPLATE_BYTES:
        raise BadSettings(f"{file} is {len(text.encode())} bytes, and CloudFormation takes {MOST_TEMPLATE_BYTES}")
    return text


def _included(part: Any, aliases: Mapping[str, Any]) -> Any:
    """The same with what `AWS::Include` names in its place. `aliases`: what a policy's names stand for besides."""
    match part:
        case {"Fn::Transform": {"Name": "AWS::Include", "Parameters": {"Location": location}}}:
            return _substituted(json.loads((FOLDER / location).read_text()), aliases)
        case dict():
            return {key: _included(value, aliases) for key, value in part.items()}
        case list():
            return [_included(one, aliases) for one in part]
    return part


def _substituted(part: Any, aliases: Mapping[str, Any]) -> Any:
    """A policy whose placeholders CloudFormation fills in."""
    match part:
        case dict():
            return {key: _substituted(value, aliases) for key, value in part.items()}
        case list():
            return [_substituted(one, aliases) for one in part]
        case str() if PLACEHOLDER.search(part):
            used = {name: value for name, value in aliases.items() if f"${{{name}}}" in part}
            return {"Fn::Sub": [part, used] if used else part}
    return part


def store_parameters(settings: Settings, options: Options) -> dict[str, str]:
    """Of `store.yaml`, each as text, in the order of their names."""
    dead, requests, _ = queues(settings)
    forgets = {rule["ID"]: rule.get("Expiration", {}).get("Days") for rule in lifecycle(buckets(settings)[0])}
    return in_order(
        _names(settings, options)
        | {
            "KeepDays": forgets[f"{RULE}forget-all"],
            "LogDays": log_days(settings.keep_days),
            "MessageRetention": attribute(dead, "MessageRetentionPeriod"),
            "MessageBytes": attribute(requests, "MaximumMessageSize"),
            "VisibilityTimeout": attribute(requests, "VisibilityTimeout"),
            "MaxReceives": requests.max_receives,
            "Email": options.email,
            "Budget": plain(options.budget or 0.0),
        }
    )


def fleet_parameters(
    settings: Settings, options: Options, outputs: Mapping[str, str], *, region: str
) -> dict[str, str]:
    """Of `fleet.yaml`. `outputs`: what the stack of `store.yaml` tells.

    Raises `BadSettings` for settings that no deployment can have.
    """
    types = [kind.strip() for kind in settings.instance_types.split(",") if kind.strip()]
    if not types:
        raise BadSettings("FACEFLEET_INSTANCE_TYPES names none: name one, as t3.medium")
    return in_order(
        _names(settings, options)
        | {
            "Image": options.image,
            "PreviousImage": options.previous_image,
            "WorkerType": types[0],
            "WebType": options.web_type,
            "ControllerType": options.controller_type,
            "WorkerCredits": _credits(types, options),
            "WebCredits": _credits([options.web_type], options),
            "ControllerCredits": _credits([options.controller_type], options),
            "Domain": options.domain,
            "PlainFrom": options.plain_from,
            "Settings": settings_text(settings, options, region=region),
            "ApiKeySecret": outputs["ApiKeySecret"],
            "AlarmTopic": outputs["AlarmTopic"],
            "LaunchTemplate": settings.launch_template,
            "InstanceName": settings.instance_name,
            "AutoScalingGroup": settings.auto_scaling_group,
            "RelayBy": settings.relay_by,
        }
    )


def _names(settings: Settings, options: Options) -> dict[str, object]:
    """What both templates speak of."""
    return {
        "Name": options.name,
        "RequestQueue": settings.request_queue,
        "ResponseQueue": settings.response_queue,
        "InputBucket": settings.input_bucket,
        "OutputBucket": settings.output_bucket,
        "StateBucket": settings.state_bucket,
        "PeopleTable": settings.people_table,
        "LogGroup": log_group(options.name, settings),
    }


def in_order(parameters: Mapping[str, object]) -> dict[str, str]:
    return {name: str(value) for name, value in sorted(parameters.items())}


def attribute(queue: WantedQueue, name: str) -> str:
    return dict(queue.attributes)[name]


def plain(number: float) -> str:
    """The same text for the same number, or an update would find that it changed: 50, not 50.0."""
    return f"{number:.2f}".rstrip("0").rstrip(".")


def log_days(keep_days: float) -> int:
    """What is nearest to the days after which all else is forgotten, and no more: lines may hold people's names."""
    return max(days for days in LOG_DAYS if days <= max(1, ceil(keep_days)))


def _credits(types: Iterable[str], options: Options) -> str:
    """EC2 refuses the word for a type that has none; without it, each type does as EC2 has it."""
    return options.credits if all(kind.partition(".")[0] in BURSTABLE for kind in types) else ""


def settings_text(settings: Settings, options: Options, *, region: str) -> str:
    """What every tier is set to, as the members of a JSON object; always the same for the same settings."""
    if settings.subnets:
        raise BadSettings("FACEFLEET_SUBNETS cannot be set for a deployment, which has a network of its own: unset it")
    own = {REGION: region, "FACEFLEET_BACKEND": "aws", "FACEFLEET_LOG_GROUP": log_group(options.name, settings)}
    # In ASCII: CloudFormation tells question marks for all else when a parameter is read again.
    # https://github.com/aws-cloudformation/cloudformation-coverage-roadmap/issues/814
    text = json.dumps(given(settings) | own, sort_keys=True)[1:-1]
    if len(text.encode()) > MOST_PARAMETER_BYTES:
        raise BadSettings(
            f"the settings are {len(text.encode())} bytes together, and CloudFormation takes {MOST_PARAMETER_BYTES}: "
            "shorten the longest, such as FACEFLEET_INSTANCE_TYPES"
        )
    return text


def given(settings: Settings) -> dict[str, str]:
    """The environment of a machine that is to have these settings: what is not a default, and no secret."""
    chosen = (f for f in fields(settings) if getattr(settings, f.name) != f.default and _is_passed_on(f))
    return {env_name(f): str(getattr(settings, f.name)) for f in chosen}


def _is_passed_on(field: "Field[Any]") -> bool:
    """What stays out of `repr` is a secret: that has a place of its own."""
    return field.repr and field.name not in NOT_PASSED_ON


def given_settings(parameters: Mapping[str, str]) -> dict[str, str]:
    """The environment that a fleet's parameters hold, from `FACEFLEET_` on; empty where there is none."""
    told: dict[str, str] = json.loads(f"{{{parameters.get('Settings', '')}}}")
    return {name: value for name, value in told.items() if name != REGION}


def given_options(name: str, store: Mapping[str, str], fleet: Mapping[str, str]) -> Options:
    """What a deployment that stands was told, by its stacks' parameters; a default where nothing says."""
    said = {
        "image": fleet.get("Image"),
        "previous_image": fleet.get("PreviousImage"),
        "web_type": fleet.get("WebType"),
        "controller_type": fleet.get("ControllerType"),
        "domain": fleet.get("Domain"),
        "email": store.get("Email"),
        "plain_from": fleet.get("PlainFrom"),
        # All of these are the same where they are said.
        "credits": fleet.get("WebCredits") or fleet.get("ControllerCredits") or fleet.get("WorkerCredits") or None,
    }
    budget = float(store.get("Budget", 0)) or None
    known = {option: value for option, value in said.items() if value is not None}
    return Options(**{"image": "", "name": name, "budget": budget} | known)  # type: ignore[arg-type]  # all text

"""A deployment: what its stacks are to be, from what is given now and, where nothing is, from what was given before."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from facefleet.backends.aws.account.callers import caller_of
from facefleet.backends.aws.account.serverless import SERVERLESS
from facefleet.backends.aws.account.site import Wanted
from facefleet.backends.aws.account.stack_told import Planned, Standing
from facefleet.backends.aws.account.stack_watch import Tell
from facefleet.backends.aws.account.stacks import NEVER_STOOD, Stack
from facefleet.backends.aws.account.templates import (
    FLEET,
    STORE,
    Options,
    fleet_parameters,
    given_options,
    given_settings,
    rendered,
    stack_name,
    store_parameters,
)
from facefleet.backends.aws.clients import Clients, connect_clients
from facefleet.backends.aws.faults import translated
from facefleet.errors import BadSettings, NotFound, Unavailable
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

#: The public part of Caddy's own authority, as ami.certificates keeps it in the state bucket.
ROOT = "tls/root.crt"
#: The settings that the store's stack is told, too, and which outlast the fleet's.
NAMES = {
    "RequestQueue": "REQUEST_QUEUE",
    "ResponseQueue": "RESPONSE_QUEUE",
    "InputBucket": "INPUT_BUCKET",
    "OutputBucket": "OUTPUT_BUCKET",
    "StateBucket": "STATE_BUCKET",
    "PeopleTable": "PEOPLE_TABLE",
    "LogGroup": "LOG_GROUP",
}
#: What the store's stack will tell, where it does not stand yet: a plan needs it, and nothing is made with it.
PLANNED_OUTPUTS = {
    "ApiKeySecret": "arn:aws:secretsmanager:us-east-1:000000000000:secret:planned",
    "AlarmTopic": "arn:aws:sns:us-east-1:000000000000:planned",
}


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked for, whole."""

    settings: Settings
    options: Options

    @property
    def name(self) -> str:
        return self.options.name


class Account:
    """Where it is deployed: the account and the region that boto3's settings lead to."""

    def __init__(self, name: str) -> None:
        self.clients: Clients = connect_clients()
        self.name = name
        cloudformation = caller_of("cloudformation")
        self.store = Stack(cloudformation, stack_name(name, STORE))
        self.fleet = Stack(cloudformation, stack_name(name, FLEET))
        self.serverless = Stack(cloudformation, stack_name(name, SERVERLESS))

    @property
    def region(self) -> str:
        return str(self.clients.ec2.meta.region_name)

    @cached_property
    def _secrets(self) -> Any:
        return caller_of("secretsmanager")

    def told(self, tell: Tell = lambda _: None) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """The parameters of both stacks, once nothing is under way, of which it tells; empty where there is none."""
        return parameters_of(self.store.settled(tell)), parameters_of(self.fleet.settled(tell))

    def plan_store(self, wish: Wish) -> Planned:
        return self.store.plan(rendered(STORE), store_parameters(wish.settings, wish.options))

    def wanted(self, wish: Wish) -> Wanted:
        """The fleet's stack as it is to be."""
        standing = self.store.found()
        outputs = standing.outputs if standing is not None and standing.outputs else PLANNED_OUTPUTS
        return Wanted(rendered(FLEET), fleet_parameters(wish.settings, wish.options, outputs, region=self.region))

    def before(self, wish: Wish) -> Wanted | None:
        """Where a roll goes back to; None where nothing stood, or nobody knows any more."""
        standing = self.fleet.found()
        if standing is None or standing.status in NEVER_STOOD:
            return None
        parameters, template = standing.parameters, self.fleet.template()
        if Wanted(template, parameters) == self.wanted(wish):
            # Somebody began with it. The image before is known, other settings are not.
            if not parameters.get("PreviousImage"):
                return None
            parameters = {**parameters, "Image": parameters["PreviousImage"], "PreviousImage": ""}
        return Wanted(template, parameters)

    def outputs(self) -> Mapping[str, str]:
        """What both stacks tell; empty where nothing stands."""
        standing = [stack.found() for stack in (self.store, self.fleet)]
        return {key: value for one in standing if one is not None for key, value in one.outputs.items()}

    @cached_property
    def key(self) -> str:
        """Whose it is may do everything: it is shown to nobody who does not ask for it."""
        return self.key_of(self.outputs()["ApiKeySecret"])

    def key_of(self, secret: str) -> str:
        with translated("reading the API key"):
            answer = self._secrets.get_secret_value(SecretId=secret)
        return str(json.loads(answer["SecretString"])["key"])

    def certificate(self, bucket: str) -> bytes:
        """What a web tier without a domain is signed by; raises `Unavailable` where there is none yet."""
        try:
            with translated("reading the web tier's root certificate"):
                body: bytes = self.clients.s3.get_object(Bucket=bucket, Key=ROOT)["Body"].read()
        except NotFound:
            raise Unavailable("the web tier's machine has not made its certificate yet") from None
        return body


def parameters_of(standing: Standing | None) -> Mapping[str, str]:
    """What it was told; nothing where it never stood."""
    return standing.parameters if standing is not None and standing.status not in NEVER_STOOD else {}


def told_before(told: tuple[Mapping[str, str], Mapping[str, str]]) -> dict[str, str]:
    """The environment that a deployment's parameters hold: of what lasts alone, names."""
    store, fleet = told
    named = {f"{PREFIX}{setting}": store[key] for key, setting in NAMES.items() if store.get(key)}
    return named | given_settings(fleet)


def wish_of(
    name: str,
    told: tuple[Mapping[str, str], Mapping[str, str]],
    env: Mapping[str, str],
    given: Mapping[str, object],
) -> Wish:
    """What is given now, by the environment and by options, over what both stacks were told before."""
    refuse_misplaced(env)
    ours = {name: value for name, value in env.items() if name.startswith(PREFIX)}
    settings = Settings.from_env(told_before(told) | ours | {f"{PREFIX}BACKEND": "aws"})
    options = given_options(name, *told)
    chosen = replace(options, **given)  # type: ignore[arg-type]  # by the names of options
    if not chosen.image:
        raise BadSettings("which machine image? Give --image ami-…: ami/README.md says how one is built")
    return Wish(settings, with_image(chosen, before=options))


def with_image(chosen: Options, *, before: Options) -> Options:
    """The same, and what was there before, to go back to."""
    if before.image in ("", chosen.image):
        return chosen
    return replace(chosen, previous_image=before.image)


#: What would have to be told every machine, and is not.
MISPLACED = {
    "FACEFLEET_API_KEYS": "a deployment's key is made in Secrets Manager, and lies nowhere else: unset it",
    "FACEFLEET_SUBNETS": "a deployment has a network of its own: unset it",
    "FACEFLEET_AUTO_SCALING_GROUP": "a deployment's controller launches its workers itself: unset it",
}


def refuse_misplaced(env: Mapping[str, str]) -> None:
    """Raises `BadSettings` for settings that cannot work on a deployment."""
    for name, why in MISPLACED.items():
        if env.get(name):
            raise BadSettings(f"{name} cannot be given to a deployment: {why}")
    if env.get("FACEFLEET_BACKEND", "aws") != "aws":
        raise BadSettings("a deployment is on AWS: set FACEFLEET_BACKEND=aws, or unset it")

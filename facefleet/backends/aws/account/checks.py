"""What can be told of an account: who asks, whether AWS answers, what stands there, what is allowed."""

import time
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

import boto3
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    HTTPClientError,
    NoCredentialsError,
    PartialCredentialsError,
)
from botocore.httpsession import URLLib3Session

from facefleet.backends.aws.account.probes import Probe, is_denial, outcome, probes
from facefleet.backends.aws.account.relay import dead_letters
from facefleet.backends.aws.account.resources import Step, Verb, resources, step
from facefleet.backends.aws.clients import CONNECT_TIMEOUT, READ_TIMEOUT, Clients, connect_clients
from facefleet.backends.aws.faults import code_of, translated
from facefleet.backends.aws.queue import SqsQueue
from facefleet.errors import BadSettings, ServiceError
from facefleet.findings import Finding, ok, unknown, wrong
from facefleet.settings import Settings

TIERS = ("web", "worker", "controller")
#: Seconds that a clock may be wrong; beyond it AWS takes no signature.
#: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
MOST_SKEW = 300.0
#: EC2's quota of vCPUs of running on-demand instances, of the families that it calls standard.
#: https://docs.aws.amazon.com/ec2/latest/instancetypes/ec2-instance-quotas.html
VCPU_QUOTA = "L-1216C47A"
STANDARD_FAMILIES = "acdhimrtz"
NO_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
GROUP = "Auto Scaling group"
SERVICES = ("sqs", "s3", "dynamodb", "ec2", "autoscaling")
IN_WORDS = {Verb.MAKE: "not there", Verb.CHANGE: "not as wanted"}


@dataclass
class Account:
    """The account that boto3's settings lead to. Impatient: who asks for a check-up sits and waits."""

    settings: Settings
    clients: Clients
    sts: Any
    quotas: Any

    def identity(self) -> Iterator[Finding]:
        region = self.clients.sqs.meta.region_name
        yield ok("region", region)
        try:
            told = self.sts.get_caller_identity()
        except NO_CREDENTIALS as e:
            yield wrong("credentials", f"{e}: give the machine a role, or set AWS_PROFILE")
        except ClientError as e:
            # This call is everybody's: who is refused is nobody.
            yield wrong("credentials", f"AWS does not take them ({code_of(e)}): renew them")
        else:
            yield ok("credentials", told["Arn"])

    def endpoints(self) -> Iterator[Finding]:
        skews = []
        for service in self._services():
            url = getattr(self.clients, service).meta.endpoint_url
            try:
                seconds, skew = _round_trip(url)
            except (HTTPClientError, BotoCoreError) as e:
                yield wrong(service, f"{url} does not answer ({e}): check network, proxy and region")
                continue
            skews.append(skew)
            yield ok(service, f"{url} answers in {seconds * 1000:.0f} ms")
        yield _clock([skew for skew in skews if skew is not None])

    def _services(self) -> tuple[str, ...]:
        group = ("autoscaling",) if self.settings.auto_scaling_group else ()
        return ("sqs", "s3", "dynamodb", *(("ec2", *group) if self.settings.asks_ec2 else ()))

    def resources(self) -> Iterator[Finding]:
        for one in resources(self.clients, self.settings):
            try:
                yield standing(step(one, one.found()))
            except BadSettings as e:
                yield wrong(one.what, str(e))
            except ServiceError as e:
                yield unknown(one.what, str(e))

    def message_size(self) -> Iterator[Finding]:
        queue = SqsQueue(self.clients.sqs, self.settings.request_queue, visibility_timeout=0.0)
        size = queue.max_message_bytes
        yield ok("message size", f"{size} bytes; an image that does not fit waits in {self.settings.input_bucket}")

    def dead_letters(self) -> Iterator[Finding]:
        yield from dead_letters(self.clients, self.settings)

    def launch_template(self) -> Iterator[Finding]:
        name = self.settings.launch_template
        with translated(f"looking for the launch template {name}"):
            try:
                self.clients.ec2.describe_launch_templates(LaunchTemplateNames=[name])
            except ClientError as e:
                if not code_of(e).startswith("InvalidLaunchTemplateName"):
                    raise
                yield wrong("launch template", f"there is no {name}: make it, or set FACEFLEET_LAUNCH_TEMPLATE")
                return
        yield ok("launch template", name)

    def group(self) -> Iterator[Finding]:
        name = self.settings.auto_scaling_group
        with translated(f"looking for the group {name}"):
            answer = self.clients.autoscaling.describe_auto_scaling_groups(AutoScalingGroupNames=[name])
        for one in answer["AutoScalingGroups"]:
            yield fitting(name, self.settings, least=one["MinSize"], most=one["MaxSize"])
            return
        yield wrong(GROUP, f"there is no {name}: make it, or set FACEFLEET_AUTO_SCALING_GROUP")

    def quotas_of_instances(self) -> Iterator[Finding]:
        kinds = [kind.strip() for kind in self.settings.instance_types.split(",")]
        with translated("looking at instance types"):
            told = self.clients.ec2.describe_instance_types(InstanceTypes=kinds)["InstanceTypes"]
        most = max(kind["VCpuInfo"]["DefaultVCpus"] for kind in told)
        needed = most * at_most(self.settings)
        if not all(kind[0] in STANDARD_FAMILIES for kind in kinds):
            yield unknown("vCPU quota", f"{needed} are needed, of families with quotas of their own: look at them")
            return
        with translated("reading the quota of vCPUs"):
            quota = self.quotas.get_service_quota(ServiceCode="ec2", QuotaCode=VCPU_QUOTA)["Quota"]["Value"]
        yield enough_vcpus(needed, quota)

    def permissions(self, tiers: Collection[str]) -> Iterator[Finding]:
        asked = [probe for probe in probes(self.clients, self.settings) if probe.tier in tiers]
        for tier in TIERS:
            own = [(probe, _outcome(probe)) for probe in asked if probe.tier == tier]
            yield from told_of(tier, [(probe.what, code) for probe, code in own])


def open_account(settings: Settings) -> Account:
    """Makes no call; raises `BadSettings` where boto3's settings cannot be used."""
    # For what it says of missing settings; what it makes is too patient for us.
    connect_clients()
    session = boto3.session.Session()
    config = Config(
        connect_timeout=CONNECT_TIMEOUT,
        read_timeout=READ_TIMEOUT,
        retries={"mode": "standard", "total_max_attempts": 2},
    )
    made = {name: session.client(name, config=config) for name in SERVICES}
    return Account(
        settings,
        Clients(**made),
        sts=session.client("sts", config=config),
        quotas=session.client("service-quotas", config=config),
    )


def _round_trip(url: str) -> tuple[float, float | None]:
    """Seconds until an answer, whatever it says; and how far our clock is ahead of the one that dated it."""
    asked = AWSRequest("GET", url).prepare()
    started = time.monotonic()
    answer = URLLib3Session(timeout=(CONNECT_TIMEOUT, READ_TIMEOUT)).send(asked)
    seconds = time.monotonic() - started
    date = answer.headers.get("Date")
    return seconds, time.time() - parsedate_to_datetime(date).timestamp() if date else None


def _clock(skews: list[float]) -> Finding:
    return clock(max(skews, key=abs)) if skews else unknown("clock", "no answer was dated")


def clock(skew: float) -> Finding:
    """`skew`: seconds that our clock is ahead of AWS's."""
    if abs(skew) > MOST_SKEW:
        side = "ahead of" if skew > 0 else "behind"
        return wrong("clock", f"{abs(skew):.0f} s {side} AWS's, which then takes no signature: set it, by NTP")
    return ok("clock", f"within {max(1.0, abs(skew)):.0f} s of AWS's")


def standing(step: Step) -> Finding:
    if step.verb is Verb.FINE:
        return ok(step.what, "as wanted")
    about = f" ({', '.join(step.wanted or ())})" if step.verb is Verb.CHANGE else ""
    return wrong(step.what, f"{IN_WORDS[step.verb]}{about}: facefleet setup")


def fitting(name: str, settings: Settings, *, least: int, most: int) -> Finding:
    """Whether the group lets the fleet be as small and as large as the settings do."""
    if least > settings.min_instances:
        return wrong(GROUP, f"{name} has a MinSize of {least}: lower it to FACEFLEET_MIN_INSTANCES")
    if most < at_most(settings):
        return wrong(
            GROUP,
            f"{name} has a MaxSize of {most}, and up to {at_most(settings)} may be needed: raise it, or lower "
            "FACEFLEET_MAX_INSTANCES",
        )
    return ok(GROUP, f"{name}, of {least} to {most} instances")


def at_most(settings: Settings) -> int:
    """Instances of EC2, which may be one of several clouds."""
    return min(settings.instances_at_most, settings.clouds.get("ec2", settings.instances_at_most))


def enough_vcpus(needed: int, quota: float) -> Finding:
    if needed > quota:
        return wrong(
            "vCPU quota",
            f"{quota:.0f} may run and {needed} are needed at most: ask Service Quotas for more, "
            "or lower FACEFLEET_MAX_INSTANCES",
        )
    return ok("vCPU quota", f"{quota:.0f} may run, {needed} are needed at most")


def _outcome(probe: Probe) -> str:
    try:
        return outcome(probe)
    except BotoCoreError as e:
        return f"no answer: {type(e).__name__}"


def told_of(tier: str, outcomes: list[tuple[str, str]]) -> Iterator[Finding]:
    """A line for each thing that is not allowed, one for each reason why nobody knows, one for all that is allowed."""
    about = f"permissions, {tier}"
    by_code: dict[str, list[str]] = {}
    for what, code in outcomes:
        by_code.setdefault(code, []).append(what)
    allowed = by_code.pop("", [])
    for code, those in by_code.items():
        if is_denial(code):
            for one in those:
                yield wrong(about, f"may not {one} ({code}): give deploy/policies/{tier}.json to whoever asks here")
        else:
            yield unknown(about, f"{', '.join(those)}: {code}")
    if allowed:
        yield ok(about, f"may {', '.join(allowed)}")

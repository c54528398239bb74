"""What a function is deployed with: its settings, its options and its names, and the parameters made of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from facefleet.backends.aws.account.policies import DEPLOYMENT
from facefleet.backends.aws.account.templates import attribute, in_order, log_days, plain
from facefleet.backends.aws.account.wanted import RULE, buckets, lifecycle, queues
from facefleet.errors import BadSettings
from facefleet.settings import Settings
from facefleet.settingtext import PREFIX

SERVERLESS = "serverless"
#: What stands for a secret and a topic that are the function's own.
NONE = "none"
#: What is put behind a name that is a fleet's already.
APART = "-function"
#: MB of one vCPU: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
ONE_CPU = 1769
#: Of calls at the same time that an account may have, unless AWS has agreed on others: a new one may have fewer.
#: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
ACCOUNTS_CALLS = 1000
#: Beyond this share of them somebody is told.
BUSY = 0.8
#: The settings that are a function's alone, though a fleet of its name has such, too.
OF_ITS_OWN = {
    "InputBucket": "input_bucket",
    "OutputBucket": "output_bucket",
    "RequestQueue": "request_queue",
    "ResponseQueue": "response_queue",
}
#: Those that it has in common with a fleet of its name.
IN_COMMON = {"StateBucket": "state_bucket", "PeopleTable": "people_table"}
#: What it is set to, by the parameter that says so.
PASSED_ON = {
    "Columns": "columns",
    "LineSuffix": "line_suffix",
    "StrangerRate": "stranger_rate",
    "Threshold": "threshold",
    "SmallestFace": "smallest_face",
    "MaxUploadBytes": "max_upload_bytes",
    "MaxPixels": "max_pixels",
    "MaxVideoBytes": "max_video_bytes",
    "MaxVideoPixels": "max_video_pixels",
    "MaxVideoSeconds": "max_video_seconds",
    "VideoInterval": "video_interval",
    "VideoEffort": "video_effort",
    "Keep": "keep_days",
    "LogLevel": "log_level",
}
TOLD = OF_ITS_OWN | IN_COMMON | PASSED_ON


@dataclass(frozen=True, slots=True)
class FunctionOptions:
    """What a function is deployed with besides the settings.

    `image`: in ECR, by its digest; `memory`: MB, which CPU follows; `concurrency`: calls at the same time, 0 is what
    the account has left; `function_url`: who may ask at a second address, NONE or AWS_IAM; `budget`: dollars a month.
    """

    image: str
    name: str = DEPLOYMENT
    architecture: str = "x86_64"
    memory: int = ONE_CPU
    concurrency: int = 0
    photos: bool = True
    #: Its bucket tells a relay's queue, and the relay calls it.
    relay: bool = False
    queue: bool = False
    function_url: str = ""
    requests_per_second: int = 50
    email: str = ""
    budget: float | None = None
    #: What it was made from before, to go back to.
    previous_image: str = ""


@dataclass(frozen=True, slots=True)
class Shared:
    """What a fleet of the same name tells, which the function has in common with it."""

    api_key_secret: str
    alarm_topic: str
    #: By the parameters of its store.
    names: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FunctionWish:
    """What is asked for, whole. `shared`: None where the function stands alone."""

    settings: Settings
    options: FunctionOptions
    shared: Shared | None = None

    @property
    def parameters(self) -> dict[str, str]:
        """Of `serverless.yaml`, each as text, in the order of their names."""
        settings, options = self.settings, self.options
        return in_order(
            {name: _text(getattr(settings, setting)) for name, setting in TOLD.items()}
            | _forgetting(settings)
            | {
                "Name": options.name,
                "Image": options.image,
                "PreviousImage": options.previous_image,
                "Architecture": options.architecture,
                "Memory": options.memory,
                "Concurrency": options.concurrency,
                "BusyAt": max(1, int(BUSY * (options.concurrency or ACCOUNTS_CALLS))),
                "Photos": str(options.photos).lower(),
                "Arrivals": settings.relay_input if options.relay else "",
                "Queue": str(options.queue).lower(),
                "FunctionUrl": options.function_url,
                "RequestsPerSecond": options.requests_per_second,
                "ApiKeySecret": self.shared.api_key_secret if self.shared else NONE,
                "AlarmTopic": self.shared.alarm_topic if self.shared else NONE,
                "Email": options.email,
                "Budget": plain(options.budget or 0.0),
            }
        )


def _text(value: object) -> str:
    return "" if value is None else str(value)


def _forgetting(settings: Settings) -> dict[str, object]:
    forgets = {rule["ID"]: rule.get("Expiration", {}).get("Days") for rule in lifecycle(buckets(settings)[0])}
    return {
        "KeepDays": forgets[f"{RULE}forget-all"],
        "LogDays": log_days(settings.keep_days),
        "MessageRetention": attribute(queues(settings)[0], "MessageRetentionPeriod"),
    }


def function_wish(
    name: str,
    told: Mapping[str, str],
    shared: Shared | None,
    fleets: Mapping[str, str],
    env: Mapping[str, str],
    given: Mapping[str, object],
) -> FunctionWish:
    """What is given now, by the environment and by options, over what was told before; first, over what a fleet has.

    `told`: the parameters of the function's stack; `fleets`: the environment of the fleet of this name.
    """
    before = {f"{PREFIX}{setting.upper()}": told[key] for key, setting in TOLD.items() if key in told}
    if arrivals := told.get("Arrivals"):
        before[f"{PREFIX}RELAY_INPUT"] = arrivals
    passed = {f"{PREFIX}{setting.upper()}" for setting in PASSED_ON.values()}
    ours = {name: value for name, value in env.items() if name.startswith(PREFIX)}
    settings = Settings.from_env(
        {name: value for name, value in fleets.items() if name in passed} | before | ours | {f"{PREFIX}BACKEND": "aws"}
    )
    options = given_function_options(name, told)
    chosen = replace(options, **given)  # type: ignore[arg-type]  # by the names of options
    if not chosen.image:
        raise BadSettings("which image? Give --image ACCOUNT.dkr.ecr.REGION.amazonaws.com/…: deploy/push.sh makes one")
    if chosen.relay and not chosen.photos:
        raise BadSettings("a relay is told of each object, photos too: --no-photos does not go with --relay")
    if options.image not in ("", chosen.image):
        chosen = replace(chosen, previous_image=options.image)
    return FunctionWish(settings if shared is None else beside(settings, shared), chosen, shared)


def beside(settings: Settings, shared: Shared) -> Settings:
    """The same with a fleet's people, and with names apart from the fleet's where they must not be one."""
    common = {setting: shared.names[key] for key, setting in IN_COMMON.items()}
    own = {setting: _apart(getattr(settings, setting), shared.names[key]) for key, setting in OF_ITS_OWN.items()}
    return replace(settings, **common, **own)  # type: ignore[arg-type]  # all text


def _apart(name: str, fleets: str) -> str:
    return f"{name}{APART}" if name == fleets else name


def given_function_options(name: str, told: Mapping[str, str]) -> FunctionOptions:
    """What a function that stands was told, by its stack's parameters; a default where nothing says."""
    defaults = FunctionOptions("", name)
    known = {
        "image": told.get("Image", ""),
        "previous_image": told.get("PreviousImage", ""),
        "architecture": told.get("Architecture", defaults.architecture),
        "memory": int(told.get("Memory", defaults.memory)),
        "concurrency": int(told.get("Concurrency", defaults.concurrency)),
        "photos": told.get("Photos", "true") == "true",
        "relay": bool(told.get("Arrivals", "")),
        "queue": told.get("Queue", "false") == "true",
        "function_url": told.get("FunctionUrl", ""),
        "requests_per_second": int(told.get("RequestsPerSecond", defaults.requests_per_second)),
        "email": told.get("Email", ""),
        "budget": float(told.get("Budget", 0)) or None,
    }
    return replace(defaults, **known)  # type: ignore[arg-type]  # by the names of options

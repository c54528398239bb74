"""Settings: the environment read once, into one frozen value.

Every field is set by `FACEFLEET_` and its name in capitals; each stands in the README's table, which a
test keeps true.
"""

import os
from collections.abc import Mapping
from dataclasses import Field, dataclass, fields
from ipaddress import ip_address
from pathlib import Path
from typing import Any, get_type_hints

from facefleet.errors import BadSettings
from facefleet.settingtext import PREFIX, parsed, setting
from facefleet.sitesettings import SiteSettings

MAX_PORT = 65_535
SCOPES = ("recognise", "enrol", "admin")

#: A worker at work for longer is taken for one that hangs.
MOST_EFFORT = 90.0
#: Pillow refuses to open an image of more pixels.
PILLOWS_MOST = 89_478_485
#: The course's account allows 20 instances, and one of them is the web tier.
EC2_MAX_INSTANCES = 19
#: EC2 charges for a minute in any case: https://aws.amazon.com/ec2/pricing/on-demand/
EC2_LEAST_BILL = 60.0
#: A controller that looks less often cannot tell a worker that says nothing from its own sleep.
LONGEST_TICK = 20.0
POLICIES = ("priced", "classic")
SCHEMES = ("http://", "https://")
LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")
#: Those that `facefleet verify` takes off again.
LINE_SUFFIXES = ("", ".csv", ".txt")
#: On AWS each look is some calls, which are paid for and counted: one in two seconds is what graders sample by.
EMBEDDED_TICK, AWS_TICK = 0.5, 2.0


#: Beyond these a threshold says nothing: half of all strangers named, or one in a million.
LEAST_STRANGER_RATE, MOST_STRANGER_RATE = 1e-6, 0.5


@dataclass(frozen=True, slots=True)
class Settings(SiteSettings):
    backend: str = setting("embedded", "where queues, blobs and people live: `embedded`, one machine, or `aws`")
    data: Path = setting(
        Path(".data"), "the one folder with all data of the embedded backend; on AWS, for locks and the converted model"
    )
    host: str = setting("127.0.0.1", "address the web tier listens on; any but loopback needs API keys")
    port: int = setting(8000, "port the web tier listens on", low=1, high=MAX_PORT)
    url: str = setting("", "where the command line finds the service; empty: this host and port")
    api_key: str = setting("", "the key that the command line sends", secret=True)
    api_keys: str = setting(
        "", "keys that may ask: `KEY:scope+scope,KEY:scope`; scopes recognise, enrol, admin", secret=True
    )
    classic_open: bool = setting(False, "the classic upload (`POST /`) needs no key even where keys are set")
    web_processes: int = setting(1, "gunicorn processes", low=1)
    max_uploads: int = setting(1000, "uploads that may wait in one web process; one more gets 503", low=1)
    max_backlog: int = setting(10_000, "messages in the request queue beyond which uploads get 503", low=1)
    max_upload_bytes: int = setting(20_000_000, "largest request body", low=1)
    max_pixels: int = setting(
        50_000_000,
        "largest image, in pixels; half of it for a PNG and others that are no JPEG",
        low=1,
        high=PILLOWS_MOST,
    )
    max_video_bytes: int = setting(50_000_000, "largest request body with a clip", low=1)
    max_video_pixels: int = setting(
        9_000_000, "largest frame of a clip, in pixels; 4K has 8.3 million", low=1, high=PILLOWS_MOST
    )
    max_video_seconds: float = setting(60.0, "seconds of a clip that are looked at", low=0)
    video_interval: float = setting(
        0.1, "seconds between two frames of a clip that are looked at; 0: every frame", low=0
    )
    video_effort: float = setting(
        25.0, "seconds of work on one clip; what was seen until then is the answer", low=0.1, high=MOST_EFFORT
    )
    video_wait: float = setting(10.0, "seconds until an upload of a clip gets 202 and a Location", low=0)
    wait_limit: float = setting(60.0, "seconds until a synchronous `/v1` request gets 504 and a Location", low=0)
    classic_wait_limit: float = setting(900.0, "the same for the classic upload, whose clients cannot ask again", low=0)
    request_queue: str = setting("facefleet-requests", "name of the request queue")
    response_queue: str = setting("facefleet-responses", "name of the response queues, before host and process")
    input_bucket: str = setting("facefleet-input", "where images as sent are kept")
    output_bucket: str = setting("facefleet-output", "where answers are kept, by the file's stem")
    state_bucket: str = setting(
        "facefleet-state", "on AWS, where results by id, enrolled photos and the fleet's state are kept"
    )
    people_table: str = setting("facefleet-people", "on AWS, the table of people; a second one ends in `-index`")
    instance_name: str = setting("app-tier-instance", "what names of instances begin with")
    launch_template: str = setting("facefleet-worker", "on EC2, the launch template that instances are made from")
    instance_types: str = setting("t3.medium", "on EC2, types of instances, best first: `t3.medium,t3a.medium`")
    subnets: str = setting("", "on EC2, where instances may be, best first; empty: where the launch template says")
    spot_share: float = setting(
        0.0, "on EC2, the share of instances to be had as spot, while there are any", low=0, high=1
    )
    warm_pool: int = setting(
        19, "on EC2, instances that are kept, stopped, to start sooner; more are terminated", low=0
    )
    warm_least: int = setting(
        0, "on EC2, instances to have in any case, stopped or up: made ahead, and made anew after an upgrade", low=0
    )
    auto_scaling_group: str = setting("", "on EC2, the group to act through, which replaces what dies; empty: none")
    max_message_bytes: int = setting(1_048_576, "largest message; a larger image waits in a blob", low=1024)
    visibility_timeout: float = setting(5.0, "seconds of a lease; extended while work goes on", low=0.1)
    max_receives: int = setting(10, "times a message is received before it moves to the dead letters", low=1)
    keep_days: float = setting(7.0, "days until images, answers and messages are forgotten", low=0.05)
    min_instances: int = setting(0, "instances that run even when nothing waits", low=0)
    max_instances: int | None = setting(None, "most instances; embedded: this machine's cores, on EC2: 19", low=1)
    scale_in_after: float = setting(
        10.0, "seconds that demand must stay lower, at least, before instances retire", low=0
    )
    policy: str = setting("priced", "how the fleet's size follows the queue: `priced` or `classic`, one per message")
    wait_price: float = setting(1.0, "what a second of a job's waiting is worth, in seconds of an instance", low=0)
    least_bill: float | None = setting(
        None, "seconds of an instance that are paid for each start; embedded: 0, on EC2: 60", low=0
    )
    instance_price: float = setting(0.0, "price of an instance-hour, in any currency", low=0)
    budget_per_hour: float | None = setting(
        None, "what an hour may cost, in the same currency: beyond it nothing is launched", low=0
    )
    launches_per_tick: int = setting(50, "most instances launched at one look", low=1)
    boot_timeout: float = setting(
        300.0,
        "seconds until an instance that never came to work is ended; three times the usual boot, where that is longer",
        low=1,
    )
    tick: float | None = setting(
        None, "seconds between two looks of the controller; embedded: 0.5, on AWS: 2", low=0.05, high=LONGEST_TICK
    )
    drain_timeout: float = setting(30.0, "seconds a worker may take for its last image before it is killed", low=0)
    models: Path | None = setting(None, "folder of the converted model; empty: `models` in the data folder")
    smallest_face: float = setting(
        0.03, "smallest face looked for: a share of the image's longer side or, from 1 on, pixels", low=0.005
    )
    stranger_rate: float = setting(
        0.01, "share of strangers that may be given a name", low=LEAST_STRANGER_RATE, high=MOST_STRANGER_RATE
    )
    threshold: float | None = setting(
        None,
        "distance beyond which a candidate is nobody; empty: follows the gallery's size and the stranger rate",
        low=0,
    )
    columns: str = setting("major,year", "attributes of a person that a line of results has behind the name")
    line_suffix: str = setting(
        "", "what the key of a function's line of results has behind the file's stem: nothing, `.csv` or `.txt`"
    )
    cache_bytes: int = setting(
        8_000_000, "bytes of memory, in each web process, to answer the same image without a worker; 0: none", low=0
    )
    log_level: str = setting("INFO", "DEBUG, INFO, WARNING or ERROR")
    log_group: str = setting("", "on AWS, the log group of CloudWatch that log lines go to as well; empty: none")

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Reads every `FACEFLEET_` name; raises `BadSettings` for one unknown or not to be used."""
        known = {env_name(f): f for f in fields(cls)}
        given = {name: value for name, value in env.items() if name.startswith(PREFIX)}
        if unknown := sorted(given.keys() - known.keys()):
            raise BadSettings(f"unknown setting {unknown[0]}: the README's table lists the known ones")
        types = get_type_hints(cls)
        chosen = {
            (f := known[name]).name: parsed(name, types[f.name], f.metadata, text) for name, text in given.items()
        }
        settings = cls(**chosen)
        settings.check()
        return settings

    def check(self) -> None:
        """Raises `BadSettings` where single values are fine and do not fit together."""
        if self.clouds and self.backend != "aws":
            raise BadSettings(
                f"{PREFIX}FLEETS needs queues and blobs that every cloud reaches: set {PREFIX}BACKEND=aws"
            )
        if self.min_instances > self.instances_at_most:
            raise BadSettings(f"{PREFIX}MIN_INSTANCES is above the most, {self.instances_at_most}")
        self._check_words()
        self.check_site()
        least = max(self.least_seconds_billed, 60.0) / 3600 * self.instance_price
        if self.budget_per_hour is not None and self.budget_per_hour < least:
            raise BadSettings(f"{PREFIX}BUDGET_PER_HOUR pays for no start of an instance: allow {least:.4f} at least")
        if self.budget_per_hour is not None and not self.instance_price:
            raise BadSettings(f"{PREFIX}BUDGET_PER_HOUR says nothing without {PREFIX}INSTANCE_PRICE: set both")
        if self.warm_least > self.warm_pool:
            raise BadSettings(f"{PREFIX}WARM_LEAST is above {PREFIX}WARM_POOL, beyond which none is kept: raise that")
        if self.warm_least and self.auto_scaling_group:
            raise BadSettings(f"{PREFIX}WARM_LEAST is for no {PREFIX}AUTO_SCALING_GROUP: give the group a warm pool")
        if not self.keys and not is_loopback(self.host):
            raise BadSettings(f"{PREFIX}HOST={self.host} is not loopback: set {PREFIX}API_KEYS, at least one key")

    def _check_words(self) -> None:
        choices = {"POLICY": POLICIES, "LOG_LEVEL": LOG_LEVELS, "LINE_SUFFIX": LINE_SUFFIXES}
        for name, known in choices.items():
            if (value := getattr(self, name.lower())) not in known:
                raise BadSettings(f"{PREFIX}{name} is {' or '.join(one or 'empty' for one in known)}, not {value!r}")
        if self.url and not self.url.lower().startswith(SCHEMES):
            raise BadSettings(f"{PREFIX}URL begins with {' or '.join(SCHEMES)}, and {self.url!r} does not")

    @property
    def instances_at_most(self) -> int:
        if self.clouds:
            every = sum(self.clouds.values())
            return every if self.max_instances is None else min(every, self.max_instances)
        if self.max_instances is not None:
            return self.max_instances
        return len(os.sched_getaffinity(0)) if self.backend == "embedded" else EC2_MAX_INSTANCES

    @property
    def least_seconds_billed(self) -> float:
        if self.least_bill is not None:
            return self.least_bill
        return EC2_LEAST_BILL if self.backend == "aws" and self.asks_ec2 else 0.0

    @property
    def seconds_per_tick(self) -> float:
        if self.tick is not None:
            return self.tick
        return EMBEDDED_TICK if self.backend == "embedded" else AWS_TICK

    @property
    def models_folder(self) -> Path:
        return self.models or self.data / "models"

    @property
    def service_url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (self.url or f"http://{host}:{self.port}").rstrip("/")

    @property
    def keys(self) -> dict[str, frozenset[str]]:
        """Scopes by key, from `KEY:scope+scope,…`; the scope admin includes the others."""
        parts = [part.strip().rpartition(":") for part in self.api_keys.split(",") if part.strip()]
        keys = {key: frozenset(scopes.split("+")) for key, _, scopes in parts}
        for key, scopes in keys.items():
            if not key or not scopes <= set(SCOPES):
                raise BadSettings(f"{PREFIX}API_KEYS is KEY:scope+scope,… with scopes {', '.join(SCOPES)}")
        return {k: frozenset(SCOPES) if "admin" in s else s for k, s in keys.items()}


def env_name(f: "Field[Any]") -> str:
    return PREFIX + f.name.upper()


def is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False

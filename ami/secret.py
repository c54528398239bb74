"""The API key of a deployment, which Secrets Manager keeps."""

import json
import re
import time
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from facefleet.errors import BadSettings, Unavailable

#: Seconds: a role that was just made is not known everywhere at once.
PATIENCE, PAUSE = 60.0, 2.0
TIMEOUT = 5
#: `KEY:scope+scope`: what parts these cannot be in a key.
KEY, SCOPES = re.compile(r"[^\s,:]+"), re.compile(r"[a-z]+(\+[a-z]+)*")


def api_keys(secret: str, *, region: str | None, patience: float = PATIENCE) -> str:
    """What FACEFLEET_API_KEYS becomes. Raises `Unavailable`; `BadSettings` where something else is kept there."""
    try:
        config = Config(connect_timeout=TIMEOUT, read_timeout=TIMEOUT, retries={"total_max_attempts": 2})
        client = boto3.client("secretsmanager", region_name=region, config=config)
    except BotoCoreError as e:
        raise BadSettings(f"the API key cannot be asked for: {e}: user data names no AWS_DEFAULT_REGION") from e
    return _parsed(_value(client, secret, time.monotonic() + patience), secret)


def _value(client: Any, secret: str, deadline: float) -> str:
    while True:
        try:
            return str(client.get_secret_value(SecretId=secret)["SecretString"])
        except (BotoCoreError, ClientError, KeyError) as e:
            if time.monotonic() > deadline:
                raise Unavailable(
                    f"the API key cannot be had from {secret} ({e}): may this machine's role read it?"
                ) from e
            time.sleep(PAUSE)


def _parsed(text: str, secret: str) -> str:
    try:
        value = json.loads(text)
        key, scopes = value["key"], value["scopes"]
        if KEY.fullmatch(key) and SCOPES.fullmatch(scopes):
            return f"{key}:{scopes}"
    except (ValueError, KeyError, TypeError):
        # Told without what was read: some of it may be the key.
        pass
    raise BadSettings(f'the secret {secret} is not {{"key": "…", "scopes": "recognise+enrol"}}: write it anew')

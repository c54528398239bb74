"""The secret that holds API keys. Imported by the first request: nobody else needs it."""

import json
from typing import Any

from aws_lambda_powertools.utilities.parameters import SecretsProvider
from aws_lambda_powertools.utilities.parameters.exceptions import GetParameterError

from facefleet.errors import Unavailable
from facefleet.settings import Settings
from lambda_tier.outside import Keys

#: Seconds for which it is not asked for again.
AGE = 300


class Secret:
    def __init__(self, name: str, client: Any) -> None:
        self._name = name
        self._provider = SecretsProvider(boto3_client=client)

    def keys(self) -> Keys:
        """As they are now, or were some minutes ago; raises `Unavailable`."""
        try:
            text = self._provider.get(self._name, max_age=AGE)
        except GetParameterError as e:
            raise Unavailable("the secret with the API keys cannot be read: look at its name and at our role") from e
        return keys_in(str(text))


def keys_in(secret: str) -> Keys:
    """Of `{"key": "…", "scopes": "recognise+enrol"}`, as a deployment's secret is, or as `FACEFLEET_API_KEYS` is."""
    try:
        told = json.loads(secret)
        text = f"{told['key']}:{told['scopes']}"
    except (ValueError, LookupError, TypeError):
        text = secret
    return Settings(api_keys=text).keys

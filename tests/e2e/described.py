"""Asking a service, and holding each answer against its `openapi.json`."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import requests
from jsonschema import Draft202012Validator
from referencing import Registry
from referencing.jsonschema import DRAFT202012
from services import Service

from bench.on_aws import OnAws

Ask = Callable[..., requests.Response]


def asking(service: Service | OnAws) -> Ask:
    """Asks this service, or the one given as `of`; an answer that is not as described fails the test."""
    spec = requests.get(f"{service.url}/openapi.json", timeout=120).json()
    registry = Registry().with_resource("urn:api", DRAFT202012.create_resource(spec))
    templates = sorted(spec["paths"], key=lambda template: template.count("{"))

    def described(where: str) -> Any:
        return registry.resolver("urn:api").lookup(where).contents

    def ask(method: str, path: str, *, of: Service | OnAws = service, **options: Any) -> requests.Response:
        response = requests.request(method, of.url + path, timeout=120, **options)
        template = next(t for t in templates if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", t), path.partition("?")[0]))
        where = f"#/paths/{template.replace('/', '~1')}/{method.lower()}/responses/{response.status_code}"
        where = described(where).get("$ref", where)
        headers = {name: described(h["$ref"]) for name, h in described(where).get("headers", {}).items()}
        assert {name for name, header in headers.items() if header.get("required")} <= response.headers.keys()
        kind = response.headers.get("Content-Type", "").partition(";")[0]
        assert (kind in described(where)["content"]) if response.content else ("content" not in described(where))
        if response.content:
            schema = {"$ref": f"urn:api{where}/content/{kind.replace('/', '~1')}/schema"}
            body = response.json() if kind.endswith("json") else response.text
            Draft202012Validator(schema, registry=registry).validate(body)
        return response

    return ask


def send(ask: Ask, photo: Path, *, name: str = "", **options: Any) -> requests.Response:
    return ask("POST", "/v1/recognitions", files={"file": (name or photo.name, photo.read_bytes())}, **options)

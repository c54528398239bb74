"""Who may ask: keys and their scopes, pages of other sites, and nothing of a key in any log."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
from services import Service, running, until

pytestmark = pytest.mark.slow

#: A key by each scope that it has; one contains the signs that separate keys from scopes elsewhere.
KEYS = {"recognise": "k-see-5b1f0a77", "enrol": "k+enrol:e2c4", "admin": "k-admin-09d3ffe1"}
API_KEYS = ",".join(f"{key}:{scope}" for scope, key in KEYS.items())

#: Each guarded route, by the scope it needs; with that key it says something else than 401 or 403.
ROUTES = [
    ("POST", "/", "recognise"),
    ("POST", "/any/path", "recognise"),
    ("POST", "/v1/recognitions", "recognise"),
    ("GET", "/v1/recognitions/0", "recognise"),
    ("POST", "/v1/recognitions/0/rejections", "enrol"),
    ("DELETE", "/v1/people/obama/rejections/0", "enrol"),
    ("GET", "/v1/fleet", "recognise"),
    ("GET", "/v1/people", "enrol"),
    ("POST", "/v1/people", "enrol"),
    ("GET", "/v1/people/obama", "enrol"),
    ("PATCH", "/v1/people/obama", "enrol"),
    ("POST", "/v1/people/obama/photos", "enrol"),
    ("POST", "/v1/people/obama/encodings", "enrol"),
    ("GET", "/v1/people/obama/photos/0", "enrol"),
    ("DELETE", "/v1/people/nobody", "admin"),
    ("POST", "/v1/purge", "admin"),
    ("GET", "/metrics", "admin"),
]


@pytest.fixture(scope="module")
def keyed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service for other machines too, with keys, that logs all it can; at its end no file of it holds a key."""
    folder = tmp_path_factory.mktemp("keyed")
    with running(folder, HOST="0.0.0.0", API_KEYS=API_KEYS, LOG_LEVEL="DEBUG") as service:  # noqa: S104  # that is the point
        yield service
    for file in (path for path in folder.rglob("*") if path.is_file()):
        assert not [scope for scope, key in KEYS.items() if key.encode() in file.read_bytes()], file


def ask(service: Service, method: str, path: str, key: str | None = None, **options: Any) -> requests.Response:
    headers = {} if key is None else {"x-api-key": key}
    return requests.request(method, service.url + path, headers=headers, timeout=60, **options)


def refused(response: requests.Response, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    if "/v1/" in response.url:
        assert response.headers["Content-Type"] == "application/problem+json"
        assert response.json()["code"] == code
    else:
        assert response.headers["Content-Type"].startswith("text/plain")


@pytest.mark.parametrize(("method", "path", "scope"), ROUTES)
def test_a_route_answers_only_to_a_key_with_its_scope(method: str, path: str, scope: str, keyed: Service) -> None:
    refused(ask(keyed, method, path), 401, "key_required")
    for wrong in ("", "wrong", KEYS[scope][:-1], KEYS[scope] + "x", KEYS[scope].upper(), f"{KEYS[scope]}:{scope}"):
        refused(ask(keyed, method, path, wrong), 401, "key_required")
    refused(ask(keyed, method, f"{path}?x-api-key={KEYS[scope]}&api_key={KEYS[scope]}"), 401, "key_required")
    for other in KEYS.keys() - {scope, "admin"}:
        refused(ask(keyed, method, path, KEYS[other]), 403, "scope_missing")
    for enough in (scope, "admin"):
        assert ask(keyed, method, path, KEYS[enough]).status_code in (200, 204, 400, 404, 415)


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/openapi.json", "/"])
def test_health_the_page_and_the_description_need_no_key(path: str, keyed: Service) -> None:
    assert ask(keyed, "GET", path).status_code == 200


def test_a_key_of_strange_characters_is_a_wrong_key(keyed: Service) -> None:
    for key in ("\xe9\xff", "k" * 5000, "k\tk"):
        refused(ask(keyed, "GET", "/v1/fleet", key), 401, "key_required")


def test_with_its_keys_a_photo_is_enrolled_recognised_and_erased(keyed: Service, photos: Path) -> None:
    files = {"file": ("o.jpg", (photos / "obama.jpg").read_bytes())}
    assert ask(keyed, "POST", "/v1/people", KEYS["enrol"], json={"id": "obama"}).status_code == 201
    assert ask(keyed, "POST", "/v1/people/obama/photos", KEYS["enrol"], files=files).status_code == 201
    assert ask(keyed, "POST", "/v1/recognitions", KEYS["recognise"], files=files).json()["answer"] == "obama"
    assert ask(keyed, "DELETE", "/v1/people/obama", KEYS["admin"]).json()["erased"]["encodings"] == 1


def test_the_command_line_sends_its_key_and_says_so_when_it_is_refused(keyed: Service) -> None:
    url = {"FACEFLEET_URL": keyed.url, "FACEFLEET_DATA": str(keyed.folder / "data")}
    right = Service(keyed.folder, settings=url | {"FACEFLEET_API_KEY": KEYS["recognise"]})
    assert right.cli("status").returncode == 0
    wrong = Service(keyed.folder, settings=url | {"FACEFLEET_API_KEY": "wrong-7711"}).cli("status")
    assert wrong.returncode == 1 and "x-api-key" in wrong.stderr
    assert "wrong-7711" not in wrong.stderr + wrong.stdout
    scope = right.cli("people", "list")
    assert scope.returncode == 1 and "enrol" in scope.stderr


def test_the_classic_upload_can_be_left_open_and_nothing_else_is(tmp_path: Path) -> None:
    service = Service(tmp_path, settings={"FACEFLEET_API_KEYS": API_KEYS, "FACEFLEET_CLASSIC_OPEN": "1"})
    try:
        service.start("web_tier")
        until(service.answers)
        assert ask(service, "POST", "/").status_code == 400
        assert ask(service, "POST", "/any/path").status_code == 400
        refused(ask(service, "POST", "/v1/recognitions"), 401, "key_required")
    finally:
        service.stop()


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "example.org"])  # noqa: S104  # that is the point
@pytest.mark.parametrize("program", [["web_tier"], ["facefleet.cli", "up"]], ids=["web_tier", "up"])
def test_without_keys_nothing_starts_on_an_address_that_others_reach(
    host: str, program: list[str], tmp_path: Path
) -> None:
    service = Service(tmp_path, settings={"FACEFLEET_HOST": host})
    run = subprocess.run(
        [sys.executable, "-m", *program], env=service.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert (run.returncode, run.stdout) == (78, "")
    (line,) = run.stderr.splitlines()
    assert host in line and "FACEFLEET_API_KEYS" in line
    assert not service.answers()


@pytest.mark.parametrize(
    "keys", ["secret-1234", "secret-1234:", "secret-1234:root", ":recognise", "secret-1234:admin+"]
)
def test_keys_that_cannot_be_read_refuse_the_start_and_are_not_repeated(keys: str, tmp_path: Path) -> None:
    run = Service(tmp_path, settings={"FACEFLEET_API_KEYS": keys}).cli("status")
    assert run.returncode == 78 and "FACEFLEET_API_KEYS" in run.stderr
    assert "secret-1234" not in run.stderr


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "https://localhost:1", "http://[", "http://127.0.0.1"]
)
@pytest.mark.parametrize(("method", "path"), [("POST", "/"), ("POST", "/v1/purge"), ("DELETE", "/v1/people/obama")])
def test_another_sites_page_changes_nothing(method: str, path: str, origin: str, service: Service) -> None:
    response = requests.request(method, service.url + path, headers={"Origin": origin}, timeout=60)
    refused(response, 403, "foreign_origin")
    assert not [name for name in response.headers if name.lower().startswith("access-control")]


def test_the_services_own_page_may_ask(service: Service) -> None:
    headers = {"Origin": service.url}
    assert requests.post(f"{service.url}/v1/recognitions", headers=headers, timeout=60).status_code == 415


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "localhost.evil.example", "192.0.2.7", "[::1", "a b"]
)
@pytest.mark.parametrize("path", ["/", "/v1/people", "/healthz"])
def test_without_keys_a_name_that_is_not_this_machines_is_refused(host: str, path: str, service: Service) -> None:
    response = requests.get(service.url + path, headers={"Host": host}, timeout=60)
    assert response.status_code in (400, 403) and "obama" not in response.text


@pytest.mark.parametrize("host", ["localhost", "LocalHost:8000", "127.0.0.1:1", "[::1]:8000"])
def test_without_keys_this_machines_own_names_are_answered(host: str, service: Service) -> None:
    assert requests.get(f"{service.url}/v1/people", headers={"Host": host}, timeout=60).status_code == 200


def test_two_keys_are_not_told_apart_by_what_is_said(keyed: Service) -> None:
    """Whether a key is nearly right shows in no word of the answer."""
    texts = {ask(keyed, "GET", "/v1/fleet", key).text for key in ("x", KEYS["admin"][:-1], "")}
    assert len(texts) == 1 and not re.search("|".join(map(re.escape, KEYS.values())), texts.pop())

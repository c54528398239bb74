"""Takes from installed packages what nobody loads there: `python deploy/trim.py FOLDER [SERVICE …]`.

Tests and sources of packages go, tools that ONNX Runtime brings for those who make networks, and what botocore knows of
AWS's services besides those named (all stay where none is).
"""

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

#: Folders, and files, by where they lie.
NEEDLESS = (
    *(f"onnxruntime/{part}" for part in ("backend", "datasets", "quantization", "tools", "transformers")),
    # The same again for programs in C: Python's own has all of it.
    "onnxruntime/capi/libonnxruntime.so*",
    *("numpy/**/tests", "numpy/**/*.a", "numpy/**/include", "numpy/f2py", "boto3/examples"),
    # What packages of OpenStack were packed with.
    *("setuptools", "setuptools-*", "_distutils_hack", "distutils-precedence.pth", "pkg_resources"),
    *("**/*.pyi", "**/*.pyx", "**/*.pxd", "**/*.c", "**/*.h", "**/*.cpp", "**/__pycache__"),
)
KNOWLEDGE = "botocore/data"


def trim(folder: Path, services: tuple[str, ...] = ()) -> None:
    """Raises `FileNotFoundError` where botocore knows nothing of a service."""
    for path in sorted(needless(folder, services)):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            # It may have gone with its folder.
            path.unlink(missing_ok=True)


def needless(folder: Path, services: tuple[str, ...]) -> Iterator[Path]:
    for pattern in NEEDLESS:
        yield from folder.glob(pattern)
    if not services:
        return
    known = {path.name: path for path in (folder / KNOWLEDGE).iterdir() if path.is_dir()}
    if missing := sorted(set(services) - known.keys()):
        raise FileNotFoundError(f"botocore knows no service {missing[0]}: look into {folder / KNOWLEDGE}")
    yield from (path for name, path in known.items() if name not in services)


if __name__ == "__main__":
    trim(Path(sys.argv[1]), tuple(sys.argv[2:]))

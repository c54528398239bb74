"""Where installed packages lie whose files we use, and whose code we do not."""

from importlib.util import find_spec
from pathlib import Path

from facefleet.errors import Unavailable


def folder_of(package: str) -> Path:
    """The package's folder; raises `Unavailable`. It is found and not imported, for an import runs its code."""
    spec = find_spec(package)
    if spec is None or spec.origin is None:
        raise Unavailable(f"{package} is missing: pip install -r requirements.txt")
    return Path(spec.origin).parent

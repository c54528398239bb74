"""`facefleet send`: photos in, names out."""

import json
from pathlib import Path
from typing import Any

import click

from facefleet.cli.client import Client, Refused
from facefleet.settings import Settings


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top-k", default=0, show_default=True, help="Candidates to tell for each face.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
@click.pass_obj
def send(settings: Settings, files: tuple[Path, ...], top_k: int, *, as_json: bool) -> None:
    """Ask who is on each of FILES.

    Exit code 1 if one could not be answered; `unknown` is an answer.

    \b
    Examples:
      facefleet send photo.jpg
      facefleet send *.jpg --json | jq -r .answer
    """
    client, failures = Client(settings), 0
    for file in files:
        try:
            result = client.recognise(file, top_k=top_k)
            click.echo(json.dumps(result) if as_json else f"{file}: {in_words(result)}")
        except Refused as e:
            failures += 1
            failure = {"filename": file.name, "status": "failed", "error": {"code": e.code, "detail": e.detail}}
            click.echo(json.dumps(failure) if as_json else f"{file}: {e.detail}", err=not as_json)
    if failures:
        raise SystemExit(1)


def in_words(result: dict[str, Any]) -> str:
    """`obama (distance 0.31, threshold 0.50), unknown (distance 0.71, threshold 0.50)`: the faces, largest first.

    Where somebody is named, the result's id stands behind, to reject a wrong name with.
    """
    if not result["faces"]:
        return f"{result['answer']} (no face found)"
    faces = ", ".join(_face_in_words(face) for face in result["faces"])
    return f"{faces}; id {result['id']}" if any(face["match"] for face in result["faces"]) else faces


def _face_in_words(face: dict[str, Any]) -> str:
    name = face["person"] or "unknown"
    if face["distance"] is None:
        return name
    return f"{name} (distance {face['distance']:.2f}, threshold {face['threshold']:.2f})"

"""`facefleet send`: photos and clips in, names out."""

import json
from pathlib import Path

import click

from facefleet.cli.client import Client, Refused
from facefleet.settings import Settings
from facefleet.uploads import is_clip
from facefleet.wire import Json


@click.command()
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--top-k", default=0, show_default=True, help="Candidates to tell for each face.")
@click.option("--appearances", is_flag=True, help="Of a clip: look for everybody, all the way, and tell when.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line, for scripts.")
@click.pass_obj
def send(settings: Settings, files: tuple[Path, ...], top_k: int, *, appearances: bool, as_json: bool) -> None:
    """Ask who is on each of FILES: photos, or clips (.mp4 .mov .mkv .webm .h264).

    Exit code 1 if one could not be answered; `unknown` is an answer.

    \b
    Examples:
      facefleet send photo.jpg
      facefleet send *.jpg --json | jq -r .answer
      facefleet send lesson.mp4 --appearances
    """
    client, failures = Client(settings), 0
    for file in files:
        try:
            result = asked(client, file, top_k=top_k, appearances=appearances)
            click.echo(json.dumps(result) if as_json else f"{file}: {in_words(result)}")
        except Refused as e:
            failures += 1
            failure = {"filename": file.name, "status": "failed", "error": {"code": e.code, "detail": e.detail}}
            click.echo(json.dumps(failure) if as_json else f"{file}: {e.detail}", err=not as_json)
    if failures:
        raise SystemExit(1)


def asked(client: Client, file: Path, *, top_k: int, appearances: bool) -> Json:
    """The result, however long it takes; raises `Refused`."""
    if not is_clip(file.name):
        return client.recognise(file, top_k=top_k)
    result = client.watch(file, top_k=top_k, appearances=appearances)
    if error := result["error"]:
        raise Refused(error["code"], error["detail"])
    return result


def in_words(result: Json) -> str:
    """`obama (distance 0.31, threshold 0.50; major law), unknown (…)`: the faces, largest first.

    Where somebody is named, the result's id stands behind, to reject a wrong name with; of a clip, what was seen of it.
    """
    seen = _clip_in_words(result["video"]) if "video" in result else ""
    if not result["faces"]:
        return f"{result['answer']} (no face found){seen}"
    faces = ", ".join(_face_in_words(face) for face in result["faces"])
    return f"{faces}{seen}; id {result['id']}" if any(face["match"] for face in result["faces"]) else f"{faces}{seen}"


def _face_in_words(face: Json) -> str:
    name = face["person"] or "unknown"
    if face["distance"] is None:
        return name
    known = ", ".join(f"{key} {value}" for key, value in face["attributes"].items())
    about = f"distance {face['distance']:.2f}, threshold {face['threshold']:.2f}"
    return f"{name} ({about}; {known})" if known else f"{name} ({about})"


def _clip_in_words(video: Json) -> str:
    """`; 0.0 s to 1.9 s: obama; 0.5 s to 1.0 s: unknown; looked at as far as 60.0 s`"""
    parts = [f"{one['from']:.1f} s to {one['to']:.1f} s: {one['person'] or 'unknown'}" for one in video["appearances"]]
    if video["cut"]:
        parts.append(f"looked at as far as {video['until']:.1f} s")
    return "".join(f"; {part}" for part in parts)

"""`--check`: what is wrong, and what to do about it. Nothing that it takes or writes stays, and no photo is sent."""

import json
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial

from pi_uploader.check_board import Tell, board, camera
from pi_uploader.check_disk import disk, has_other, spool
from pi_uploader.check_service import service
from pi_uploader.client import Say
from pi_uploader.findings import Finding, Look, found, start
from pi_uploader.settings import Settings

#: What is told of a part that another process works with.
OTHERS = "not looked at: another pi_uploader has it"
#: Seconds; together less than the two minutes that install.sh gives.
DISK, SPOOL, BOARD, CAMERA, SERVICE = 20.0, 5.0, 30.0, 20.0, 25.0


def check(settings: Settings, say: Say, *, as_json: bool) -> int:
    """The exit code: 0 if all is well, else 1. Asks for a press, and lights LEDs, where somebody is there."""
    tell = say if not as_json and is_watched() else None
    findings = []
    for finding in everything(settings, tell):
        findings.append(finding)
        if not as_json:
            say(in_words(finding))
    wrong = sum(not finding.ok for finding in findings)
    if as_json:
        say(json.dumps([asdict(finding) for finding in findings]))
    else:
        say(f"{wrong} of {len(findings)} are wrong" if wrong else "all is well")
    return 1 if wrong else 0


def is_watched() -> bool:
    return all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stdout))


def everything(settings: Settings, tell: Tell) -> Iterator[Finding]:
    """Each as soon as it is known."""
    other: list[bool] = []
    # A disk that hangs is told of, and does not keep from looking at the rest.
    start(lambda: other.append(has_other(settings))).join(SPOOL)
    for look in looks(settings, tell, is_others=any(other)):
        yield from found(look)


def looks(settings: Settings, tell: Tell, *, is_others: bool) -> Iterator[Look]:
    """What is to be looked at, where another pi_uploader works or none."""
    yield Look("disk", partial(disk, settings), DISK, "the card may be dying: see `dmesg`, save what is on it")
    yield Look("spool", partial(spool, settings), SPOOL, "see what is said of the disk")
    # Opening pins sets them: the LEDs of the one that works would go out.
    parts = partial(_left_alone, "button", "leds") if is_others else partial(board, settings, tell)
    yield Look("board", parts, BOARD, "see that no other program uses the pins, and try again")
    lens = partial(_left_alone, "camera") if is_others and not _is_folder(settings) else partial(camera, settings)
    yield Look("camera", lens, CAMERA, "unplug the camera, plug it in again, and restart this machine")
    yield Look("service", partial(service, settings), SERVICE, "is the network slow, or the service too busy?")


def in_words(finding: Finding) -> str:
    sign = "WRONG" if not finding.ok else "note" if finding.next else "ok"
    line = f"{sign:<6}{finding.check:<8}{finding.detail}"
    return f"{line}\n{'':<14}next: {finding.next}" if finding.next else line


def _left_alone(*parts: str) -> Iterator[Finding]:
    for part in parts:
        yield Finding(part, False, OTHERS, "stop that one first, as is said of the spool")


def _is_folder(settings: Settings) -> bool:
    return settings.camera.startswith("folder:")

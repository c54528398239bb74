"""Press the button, see who it is: the Raspberry Pi client of facefleet, and of any desktop.

examples:
  python -m pi_uploader --url http://laptop:8000                 each press, or Enter, takes a photo
  python -m pi_uploader --camera folder:photos --url …           photos of a folder in place of a camera
  python -m pi_uploader live                                     a frame every half second, for five minutes
  python -m pi_uploader video                                    the same, and clips of half a second, without a gap
  python -m pi_uploader enrol "Mary Smith" -n 20                 enrols 20 photos of whoever stands there
  python -m pi_uploader --check                                  says what is wrong, and what to do about it
"""

import argparse
import faulthandler
import logging
import os
import signal
import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from pi_uploader import supervision
from pi_uploader.answers import Answer
from pi_uploader.button import watched
from pi_uploader.camera import BadCamera, CameraError
from pi_uploader.check import check
from pi_uploader.client import opened
from pi_uploader.enrol import Arrivals, enrol
from pi_uploader.lights import Lights
from pi_uploader.live import Ending, Session, watch
from pi_uploader.pins import NoPins, open_pins
from pi_uploader.presses import Event, Events, answer_presses, ask_for_poweroff, tell
from pi_uploader.settings import CHOICES, BadSettings, Settings, load
from pi_uploader.spool import Item, SpoolBusy
from pi_uploader.video import Filming, film

#: What stays wrong however often it is started: EX_CONFIG of sysexits.h, as the service's own units have it.
EXIT_UNUSABLE = 78
#: What a live session leaves.
SEEN = "seen.csv"
#: Options that are settings.
OPTIONS = ("url", "camera", "data", "seconds", "interval", "record", "segment_seconds", "clip")


def main() -> None:
    options = parser().parse_args()
    if (options.json and not options.check) or (options.check and options.mode):
        parser().error("--json goes with --check, and --check with no mode")
    # What it writes are faces, and who was seen when: for the eyes of its user alone.
    os.umask(0o077)
    # Of one that hangs, systemd's SIGABRT shows where.
    if sys.stderr is not None:
        faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    # It warns with whole addresses, and who has a signed one may use it.
    logging.getLogger("urllib3").setLevel(logging.ERROR)
    try:
        given = {name: getattr(options, name, None) for name in OPTIONS}
        settings = load(getattr(options, "settings", None), given, os.environ)
        sys.exit(run(options, settings))
    except (BadSettings, BadCamera) as e:
        say(f"pi_uploader: {e}")
        sys.exit(EXIT_UNUSABLE)
    except (CameraError, NoPins, SpoolBusy, OSError) as e:
        say(f"pi_uploader: {e}")
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="pi_uploader",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        parents=[common_options()],
    )
    parser.add_argument("--check", action="store_true", help="test button, camera, LEDs, disk, clock and service")
    parser.add_argument("--json", action="store_true", help="with --check: for scripts")
    common = common_options()
    modes = parser.add_subparsers(dest="mode", metavar="MODE")
    modes.add_parser("button", help="each press takes a photo (the default)", parents=[common])
    session = session_options()
    modes.add_parser("live", help="a frame every so many seconds", parents=[common, session])
    video = modes.add_parser("video", help="clips on end, and frames of the same recording", parents=[common, session])
    video.add_argument("--record", choices=CHOICES["record"], help="clips, frames, or both")
    video.add_argument("--clip", choices=CHOICES["clip"], help="form of a clip")
    video.add_argument(
        "--segment", type=float, dest="segment_seconds", help="seconds of a clip; 0.5 unless the settings say otherwise"
    )
    enrol = modes.add_parser("enrol", help="enrols photos of the person in front of the camera", parents=[common])
    enrol.add_argument("name", metavar="NAME", help="of the person, as it is to be told")
    enrol.add_argument("-n", type=int, default=20, dest="photos", help="photos to enrol; default: 20")
    return parser


def common_options() -> argparse.ArgumentParser:
    """What may stand before a mode as well as behind it: one that is not given does not undo the other."""
    common = argparse.ArgumentParser(add_help=False, argument_default=argparse.SUPPRESS)
    common.add_argument("--settings", type=Path, metavar="FILE", help="default: /etc/pi_uploader.toml, if it is there")
    common.add_argument("--url", help="the service, as http://HOST:8000")
    common.add_argument("--camera", help="auto, picamera2, usb, usb:1, or folder:PATH")
    common.add_argument("--data", metavar="FOLDER", help="where captures and answers are kept")
    return common


def session_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    options.add_argument("--seconds", type=float, help="how long; 300 unless the settings say otherwise")
    options.add_argument("--interval", type=float, help="from frame to frame; 0.5 unless the settings say otherwise")
    options.add_argument(
        "--csv", type=Path, metavar="FILE", help=f"who was seen when, made anew; default: {SEEN}, with all other data"
    )
    return options


def run(options: argparse.Namespace, settings: Settings) -> int:
    if options.check:
        return check(settings, say, as_json=options.json)
    if not open_pins():
        say("no GPIO here: Enter is the button, and answers are told in words alone")
    if options.mode == "video" and settings.record != "frames":
        return session_mode(settings, Filming(), film, options.csv, records=True)
    if options.mode in ("live", "video"):
        return session_mode(settings, Session(), watch, options.csv, records=False)
    if options.mode == "enrol":
        return enrol_mode(settings, options.name, options.photos)
    return press_mode(settings)


def session_mode(
    settings: Settings, session: Session, run: Callable[..., None], csv: Path | None, *, records: bool
) -> int:
    ending, lights = Ending(), Lights(settings)
    on_signals(stop=ending.ask, asks=2)

    def answered(item: Item, answer: Answer, latency: float | None) -> None:
        session.answered(item, answer, latency)
        tell(say, item, answer, latency)

    with opened(settings, lights, say, answered, uploads=settings.uploads, records=records) as client:
        run(client, session, ending, csv=csv or settings.folder / SEEN)
    lights.close()
    return 0


def enrol_mode(settings: Settings, name: str, photos: int) -> int:
    arrivals, lights = Arrivals(), Lights(settings)
    on_signals(stop=arrivals.stop)

    def answered(item: Item, answer: Answer, latency: float | None) -> None:
        if latency is None:
            tell(say, item, answer, latency)
        arrivals.answered(item, answer)

    with opened(settings, lights, say, answered, uploads=1) as client:
        done = enrol(client, arrivals, name, photos)
    lights.close()
    return 0 if done else 1


def press_mode(settings: Settings) -> int:
    lights, events = Lights(settings), Events()
    on_signals(stop=events.stop, press=events.press)
    with (
        opened(settings, lights, report, partial(tell, report), uploads=1) as client,
        watched(settings, pressed=events.press, held=events.hold),
    ):
        events.listen_to_keyboard()
        report(f"each press takes a photo, which goes to {client.door.url}")
        ended_by = answer_presses(client, events)
    lights.close()
    if ended_by is Event.HELD and settings.on_hold == "poweroff" and not ask_for_poweroff():
        say("the machine stays on: only where install.sh has set it up it can be powered off")
    return 0


def on_signals(*, stop: Callable[[], Any], press: Callable[[], Any] | None = None, asks: int = 1) -> None:
    """SIGTERM and Ctrl-C stop; where there is SIGUSR1, it is a press by hand.

    Ctrl-C more often than it `asks` is `KeyboardInterrupt`: a service that keeps us waiting does not keep us here.
    """
    signal.signal(signal.SIGTERM, lambda *_: stop())
    wishes = iter(range(asks - 1, -1, -1))

    def interrupted(*_: object) -> None:
        if not next(wishes):
            signal.signal(signal.SIGINT, signal.default_int_handler)
        stop()

    signal.signal(signal.SIGINT, interrupted)
    if press is not None and hasattr(signal, "SIGUSR1"):
        signal.signal(signal.SIGUSR1, lambda *_: press())


def say(words: str) -> None:
    # Whoever started this may have closed it.
    if sys.stdout is None:
        return
    encoding = sys.stdout.encoding
    # A terminal that is gone, or lacks a letter of a name, must not keep photos from being sent.
    with suppress(OSError):
        sys.stdout.write(f"{words}\n".encode(encoding, "replace").decode(encoding))
        sys.stdout.flush()


def report(words: str) -> None:
    """Also to `systemctl status`, which shows the last line."""
    say(words)
    supervision.status(words)


if __name__ == "__main__":
    main()

"""Button, LEDs, buzzer and camera, as a check-up finds them."""

import time
from collections.abc import Callable, Iterator

import gpiozero

from pi_uploader.camera import Camera, CameraError, NoCamera, NoEncoder, open_camera
from pi_uploader.findings import Finding
from pi_uploader.pins import BUSY, NoPins, open_pins, unusable
from pi_uploader.settings import Settings

#: Says a line to whoever watches; None if nobody does.
Tell = Callable[[str], None] | None
LEDS = ("working", "known", "unknown", "offline")
#: Seconds for somebody to press, and to let go.
PRESS_WITHIN, RELEASE_WITHIN = 10.0, 1.0
#: Seconds that each LED is lit, and the buzzer heard.
LIT, HEARD = 1.0, 0.3
#: A photo from an opened camera takes longer than this only if something is wrong.
SLOW_PHOTO = 3.0
#: Nor does a first clip, beyond its own length.
SLOW_CLIP = 6.0
IMAGES = {b"\xff\xd8\xff": "JPEG", b"\x89PNG": "PNG"}


def board(settings: Settings, tell: Tell) -> Iterator[Finding]:
    try:
        has_pins = open_pins()
    except NoPins as e:
        yield Finding("button", False, "the pins of this board cannot be used, for LEDs neither", str(e))
        return
    if not has_pins:
        yield Finding("button", True, "no GPIO on this machine: Enter is the button")
        yield Finding("leds", True, "no GPIO on this machine: answers are told in words alone")
        return
    yield button(settings.button_pin, tell)
    yield leds(settings, tell)
    if settings.buzzer_pin:
        yield buzzer(settings.buzzer_pin, tell)


def button(pin: int, tell: Tell) -> Finding:
    if not pin:
        return Finding("button", True, "there is none: button_pin is 0")
    try:
        with gpiozero.Button(pin) as button:
            return _at_rest_then_pressed(button, pin, tell)
    except Exception as e:
        return Finding("button", False, unusable(pin, e), BUSY)


def _at_rest_then_pressed(button: gpiozero.Button, pin: int, tell: Tell) -> Finding:
    if not button.wait_for_release(RELEASE_WITHIN):
        words = "let go of it; if nobody holds it, it is stuck, or its wires touch: take one off and see"
        return Finding("button", False, f"GPIO {pin} is pressed all the time", words)
    if tell is None:
        return Finding("button", True, f"GPIO {pin} is at rest")
    tell(f"press the button now: you have {PRESS_WITHIN:.0f} s")
    if not button.wait_for_press(PRESS_WITHIN):
        words = f"check again, and press; does the button connect GPIO {pin} to ground, not to 3.3 V?"
        return Finding("button", False, f"no press on GPIO {pin} within {PRESS_WITHIN:.0f} s", words)
    return Finding("button", True, f"GPIO {pin} was pressed")


def leds(settings: Settings, tell: Tell) -> Finding:
    """Lit one after the other, where somebody watches."""
    pins = {name: pin for name in LEDS if (pin := int(getattr(settings, f"{name}_pin")))}
    failed = [words for name, pin in pins.items() if (words := _try_out(gpiozero.LED, name, pin, LIT, tell))]
    if failed:
        return Finding("leds", False, "; ".join(failed), BUSY)
    if not pins:
        return Finding("leds", True, "there are none: all their pins are 0")
    names = ", ".join(f"{name} (GPIO {pin})" for name, pin in pins.items())
    if tell is None:
        return Finding("leds", True, names)
    return Finding("leds", True, f"each was lit in turn: {names}; one stayed dark? Its long leg goes to the GPIO")


def buzzer(pin: int, tell: Tell) -> Finding:
    words = _try_out(gpiozero.Buzzer, "buzzer", pin, HEARD, tell)
    return Finding("buzzer", False, words, BUSY) if words else Finding("buzzer", True, f"GPIO {pin}")


def _try_out(kind: type[gpiozero.DigitalOutputDevice], name: str, pin: int, seconds: float, tell: Tell) -> str:
    """What is wrong; empty if nothing is."""
    try:
        with kind(pin) as device:
            if tell is not None:
                tell(f"on now: {name} (GPIO {pin})")
                device.on()
                time.sleep(seconds)
                device.off()
    except Exception as e:
        return f"{name}: {unusable(pin, e)}"
    return ""


def camera(settings: Settings) -> Iterator[Finding]:
    """Takes a photo and a clip, which are nowhere kept."""
    started = time.monotonic()
    try:
        camera = open_camera(settings.camera, (settings.width, settings.height))
    except CameraError as e:
        yield Finding("camera", False, f"{settings.camera} cannot be opened", str(e))
        return
    opened = time.monotonic()
    try:
        yield photo(camera.still(), settings.camera, opened - started, time.monotonic() - opened)
        yield video(camera, settings)
    except CameraError as e:
        yield Finding("camera", False, f"{settings.camera} gives no photo", str(e))
    finally:
        camera.close()


def photo(image: bytes, spec: str, opening: float, taking: float) -> Finding:
    """What a first photo says of its camera; seconds."""
    kind = next((kind for start, kind in IMAGES.items() if image.startswith(start)), None)
    if kind is None:
        words = "name another camera; in a folder, remove the file that is no photo"
        return Finding("camera", False, f"{spec} gives {len(image)} bytes that are no JPEG nor PNG", words)
    slow = "a press takes so long: is the machine busy, or width and height more than it can?"
    told = f"{spec}: a {kind} of {len(image):,} bytes in {taking:.2f} s, after {opening:.2f} s to open"
    return Finding("camera", True, told, slow if taking > SLOW_PHOTO else "")


def video(camera: Camera, settings: Settings) -> Finding:
    """Whether it records; where it cannot, all but video mode works."""
    try:
        camera.record(settings.segment_seconds, settings.clip)
        clip = camera.clip(settings.segment_seconds + SLOW_CLIP)
    except NoEncoder as e:
        return Finding("video", True, "no clips can be taken here, photos can", str(e))
    except NoCamera as e:
        return Finding("video", True, f"photos alone: {e}")
    except CameraError as e:
        return Finding("video", False, f"{settings.camera} gives no clip", str(e))
    if clip is None:
        words = "is the machine busy, or width and height more than it can encode?"
        return Finding("video", False, f"{settings.camera} gives no clip within {SLOW_CLIP:.0f} s", words)
    took = f"{clip.ended - clip.began:.2f} s"
    return Finding("video", True, f"{settings.camera}: a clip of {took} and {len(clip.data):,} bytes")

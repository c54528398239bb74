"""What the person at the button sees and hears: four LEDs and a buzzer, each of which may be missing."""

import threading

from gpiozero import LED, Buzzer, DigitalOutputDevice

from pi_uploader.answers import Outcome
from pi_uploader.pins import part
from pi_uploader.settings import Settings

#: Seconds of a beep, and of a blink.
BEEP = 0.1


class Lights:
    """Every verb may be called from any thread."""

    def __init__(self, settings: Settings) -> None:
        """Raises `NoPins`."""
        self._show = settings.show
        self._changing = threading.Lock()
        self._working = _led(settings.working_pin)
        self._known = _led(settings.known_pin)
        self._unknown = _led(settings.unknown_pin)
        self._offline = _led(settings.offline_pin)
        self._buzzer = part(Buzzer, settings.buzzer_pin) if settings.buzzer_pin else None

    def working(self, is_awaited: bool) -> None:
        with self._changing:
            _switch(self._working, is_awaited)

    def offline(self, is_away: bool) -> None:
        with self._changing:
            _switch(self._offline, is_away)

    def answered(self, outcome: Outcome) -> None:
        """Known or enrolled, or unknown, for a while; both blink where a capture was refused or not taken."""
        with self._changing:
            if outcome is Outcome.REFUSED:
                self._blink(self._known, self._unknown)
                self._beep(1, 5 * BEEP)
            elif outcome is Outcome.UNKNOWN:
                self._light(self._unknown, instead_of=self._known)
                self._beep(2, BEEP)
            else:
                self._light(self._known, instead_of=self._unknown)
                self._beep(1, BEEP)

    def close(self) -> None:
        with self._changing:
            for device in (self._working, self._known, self._unknown, self._offline, self._buzzer):
                if device is not None:
                    # Whether a pin that is let go falls back is the kernel's to say.
                    device.off()
                    device.close()

    def _light(self, led: LED | None, *, instead_of: LED | None) -> None:
        _switch(instead_of, False)
        if led is not None:
            led.blink(on_time=self._show, off_time=0, n=1)

    def _blink(self, *leds: LED | None) -> None:
        for led in leds:
            if led is not None:
                led.blink(on_time=BEEP, off_time=BEEP, n=round(self._show / (2 * BEEP)) or 1)

    def _beep(self, times: int, seconds: float) -> None:
        if self._buzzer is not None:
            self._buzzer.beep(on_time=seconds, off_time=BEEP, n=times)


def _led(pin: int) -> LED | None:
    return part(LED, pin) if pin else None


def _switch(device: DigitalOutputDevice | None, is_on: bool) -> None:
    if device is not None:
        device.on() if is_on else device.off()

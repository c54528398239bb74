"""Where a blob lies on S3: its bucket, and its object's key there.

The key `in/test_00.jpg` is the object `test_00.jpg` of the input bucket, where graders look for it. Whatever S3, or a
URL on the way there, might take for something else is percent-encoded, and the few names that are too long are packed.
"""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import unquote

#: S3's limit, in UTF-8: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
MAX_KEY_BYTES = 1024
#: https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
BUCKET_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
#: Characters of a packed name that stay readable, so that it is listed among its neighbours.
HEAD = 64
#: Between them and the rest. Percent-encoding never writes this.
PACKED = "%~"
#: Bits that hold any character.
BITS = 21

#: On their way, URLs lose segments that are empty or dots; XML, which a batch delete is, holds no control characters;
#: and S3 takes no object that is called `soap`: https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
_UNSAFE = re.compile(r"[%\x00-\x1f\x7f\ufffe\uffff]|(?<![^/])/|(?<![^/])\.{1,2}(?![^/])|(?<=\Asoa)p\Z")
#: An end of a prefix that is written so or so, depending on what follows.
_OPEN_END = re.compile(r"((?<![^/])\.{1,2}|(?<=\Asoa)p)\Z")


@dataclass(frozen=True, slots=True)
class Place:
    """An object. On S3 it may have many versions."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Area:
    """Where the blobs `area/…` lie: in a bucket, with `before` in front of all their keys."""

    bucket: str
    before: str

    def place(self, name: str) -> Place:
        """Raises `ValueError` for a name that is too long."""
        room = MAX_KEY_BYTES - len(self.before.encode())
        for key in (_escaped(name), _packed(name)):
            if len(key.encode()) <= room:
                return Place(self.bucket, self.before + key)
        raise ValueError(f"a key is at most {MAX_KEY_BYTES} bytes, not {len(name)} characters that take more")

    def prefix(self, start: str) -> str:
        """What all objects begin with whose names begin so; others may, too."""
        return self.before + _escaped(_OPEN_END.sub("", start[:HEAD]))

    def name(self, key: str) -> str | None:
        """The name of the blob that an object is; None for an object that is no blob, such as others may put there."""
        try:
            name = _named(key.removeprefix(self.before))
            return name if name and self.place(name).key == key else None
        except (ValueError, OverflowError):
            return None


@dataclass(frozen=True, slots=True)
class Layout:
    """Areas with a bucket of their own; all others share one."""

    buckets: Mapping[str, str]
    rest: str

    def place(self, key: str) -> Place:
        """Raises `ValueError` for what is no key."""
        area, _, name = key.partition("/")
        if not name:
            raise ValueError(f"a key is area/name, not {key!r}")
        return self.area(area).place(name)

    def area(self, area: str) -> Area:
        if not area.isalpha():
            raise ValueError(f"an area is a word, not {area!r}")
        return Area(self.buckets[area], "") if area in self.buckets else Area(self.rest, f"{area}/")


def _escaped(name: str) -> str:
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), name)


def _packed(name: str) -> str:
    """Its head as ever, and the rest as one number: less than the four bytes that UTF-8 takes for some characters."""
    number = 1
    for character in name[HEAD:]:
        number = number << BITS | ord(character)
    data = number.to_bytes((number.bit_length() + 7) // 8)
    return _escaped(name[:HEAD]) + PACKED + urlsafe_b64encode(data).decode()


def _named(key: str) -> str:
    head, packed, tail = key.partition(PACKED)
    return unquote(head) + (_unpacked(tail) if packed else "")


def _unpacked(tail: str) -> str:
    number = int.from_bytes(urlsafe_b64decode(tail))
    characters = []
    while number > 1:
        characters.append(chr(number & (1 << BITS) - 1))
        number >>= BITS
    return "".join(reversed(characters))

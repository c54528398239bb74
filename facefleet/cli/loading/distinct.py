"""A file with something added that nobody sees, so that it is another file to whoever remembers files."""

from facefleet.clipfile import H264, MATROSKA, kind_of
from facefleet.errors import BadImage

#: ITU-T H.264, 7.3.2.3.1 and D.1.7: a NAL unit of SEI, of user data that belongs to nobody; and how each unit ends.
SEI, USER_DATA, STOP = b"\x00\x00\x00\x01\x06", b"\x05", b"\x80"
#: ISO/IEC 14496-12, 8.1.2: a box whose bytes mean nothing.
FREE = b"free"
#: RFC 9559, 4.5.2 and RFC 8794, 11.3.2: an element whose bytes mean nothing.
VOID = b"\xec"
#: Of EBML's sizes those of one byte.
ONE_BYTE = 0x80
#: Digits of the mark: what is added has one length, and no two zeros that H.264 would take for a beginning.
DIGITS = 32


def distinct(data: bytes, mark: str) -> bytes:
    """The same picture or clip, as another file for each mark, ASCII of `DIGITS` characters.

    Behind the end of an image nobody looks; a clip gets what its form has for that.
    """
    tail = mark.encode()[:DIGITS].rjust(DIGITS, b"-")
    try:
        kind = kind_of(data)
    except BadImage:
        return data + tail
    if kind == H264:
        # Before the first picture: behind the last one it would be taken for a picture, of which nothing came.
        return SEI + USER_DATA + bytes([len(tail)]) + tail + STOP + data
    if kind == MATROSKA:
        return data + VOID + bytes([ONE_BYTE | len(tail)]) + tail
    # What remains is MP4, and what QuickTime made of it.
    return data + (len(FREE) + 4 + len(tail)).to_bytes(4) + FREE + tail

"""The first bytes of a clip: is it one, and of which kind? Enough for the door, which never decodes."""

from dataclasses import dataclass

from facefleet.errors import BadImage

#: How files of these kinds are called, and what MIME calls them: https://www.iana.org/assignments/media-types
TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".mov": "video/quicktime",
    ".h264": "video/h264",
    ".264": "video/h264",
    ".mkv": "video/x-matroska",
    ".webm": "video/webm",
}
SUFFIXES = frozenset(TYPES)
#: Kinds, by what FFmpeg calls those who read them.
MP4, MATROSKA, H264 = "mp4", "matroska", "h264"
#: ISO/IEC 14496-12, 4.3: a file begins with a box of type `ftyp`. Older ones of QuickTime with one of these.
BOXES = (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip")
#: RFC 8794, 8.1: EBML, which Matroska and WebM are written in.
EBML = b"\x1a\x45\xdf\xa3"
#: ITU-T H.264, B.1: a NAL unit in a byte stream begins behind one of these.
START_CODES = (b"\x00\x00\x00\x01", b"\x00\x00\x01")
#: ITU-T H.264, table 7-1: what a stream may begin with: a slice, SEI, a parameter set, a delimiter.
FIRST_UNITS = frozenset({1, 5, 6, 7, 8, 9})
#: Bytes that tell.
HEAD = 16


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much of a clip is looked at: pixels of a frame, seconds of it, seconds between frames, seconds of work."""

    max_pixels: int
    max_seconds: float
    interval: float
    effort: float


def kind_of(data: bytes) -> str:
    """`mp4`, `matroska` or `h264`, by the first `HEAD` bytes; raises `BadImage` for what is no clip that we read."""
    if not data:
        raise BadImage("the file is empty: send a clip", code="empty_file")
    if data[4:8] in BOXES:
        return MP4
    if data.startswith(EBML):
        return MATROSKA
    for code in START_CODES:
        if data.startswith(code) and _is_first_unit(data[len(code) : len(code) + 1]):
            return H264
    raise BadImage("not a clip that we read: send MP4, H.264, Matroska or WebM", code="not_a_video")


def is_clip(data: bytes) -> bool:
    try:
        return bool(kind_of(data))
    except BadImage:
        return False


def _is_first_unit(header: bytes) -> bool:
    # The top bit is always 0; the lower five tell what it is.
    return bool(header) and header[0] < 0x80 and header[0] & 0x1F in FIRST_UNITS

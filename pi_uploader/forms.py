"""What a capture is, by its first bytes: a photo, or a clip."""

#: How files of captures end, and what MIME calls them: https://www.iana.org/assignments/media-types
TYPES = {"jpg": "image/jpeg", "png": "image/png", "h264": "video/h264", "mp4": "video/mp4"}
#: Those that are clips.
CLIPS = frozenset({"h264", "mp4"})
PNG = b"\x89PNG"
#: The first box of an MP4, after its length: ISO/IEC 14496-12, 4.3.
FTYP = b"ftyp"
#: What every unit of H.264 begins with in a byte stream: ITU-T H.264, B.1.
START_CODE = b"\0\0\1"


def suffix_of(capture: bytes) -> str:
    """One of `TYPES`; `jpg` as well for what is none of them, and the service says so."""
    if capture.startswith(PNG):
        return "png"
    if capture[4:8] == FTYP:
        return "mp4"
    return "h264" if capture.startswith((START_CODE, b"\0" + START_CODE)) else "jpg"

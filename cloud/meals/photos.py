"""Photos of dishes: checked before they are kept, without what a phone writes into them.

Promises: only JPEG and PNG of a sensible size, known by their bytes and not by a name; where and when a photo
was taken is not kept; nothing of a user's file name is used, and no photo is a file: they stand in the
database.  Pure, but for its callers.
"""

from struct import unpack_from
from typing import NamedTuple

BYTES_MAX = 400 * 1024
SIDE_MAX, SIDE_MIN = 2400, 32
_PNG = b"\x89PNG\r\n\x1a\n"
# What a picture of a PNG needs; times and texts are left out.
_PNG_PARTS = {b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"sRGB", b"cHRM"}
_JPEG_SIZES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_JPEG_NOTES = {*range(0xE1, 0xEE), 0xEF, 0xFE}
_SCAN, _END = 0xDA, 0xD9


class PhotoRefused(ValueError):
    """A file is no photo that is taken; carries the reason."""


class Photo(NamedTuple):
    """A picture as it is kept and shown."""

    media_type: str
    image: bytes
    width: int
    height: int


def checked(raw: bytes) -> Photo:
    """The photo of a file.  PhotoRefused says what is wrong with it."""
    if len(raw) > BYTES_MAX:
        raise PhotoRefused("too large")
    try:
        if raw.startswith(_PNG):
            photo = _png(raw)
        elif raw.startswith(b"\xff\xd8\xff"):
            photo = _jpeg(raw)
        else:
            raise PhotoRefused("no JPEG or PNG")
    except (IndexError, ValueError) as error:
        if isinstance(error, PhotoRefused):
            raise
        raise PhotoRefused("damaged") from error
    if not (SIDE_MIN <= photo.width <= SIDE_MAX and SIDE_MIN <= photo.height <= SIDE_MAX):
        raise PhotoRefused("too many or too few pixels")
    return photo


def _png(raw: bytes) -> Photo:
    kept, place = [_PNG], len(_PNG)
    size = (0, 0)
    while True:
        length = int.from_bytes(_part(raw, place, 4), "big")
        kind = _part(raw, place + 4, 4)
        whole = _part(raw, place, length + 12)
        if kind == b"IHDR":
            size = int.from_bytes(whole[8:12], "big"), int.from_bytes(whole[12:16], "big")
        if kind in _PNG_PARTS:
            kept.append(whole)
        place += length + 12
        if kind == b"IEND":
            return Photo("image/png", b"".join(kept), *size)


def _jpeg(raw: bytes) -> Photo:
    kept, place = [raw[:2]], 2
    size = (0, 0)
    while True:
        sign, kind = _part(raw, place, 2)
        if sign != 0xFF:
            raise PhotoRefused("damaged")
        if kind == _SCAN:
            end = raw.rindex(bytes((0xFF, _END))) + 2
            if end <= place:
                raise PhotoRefused("damaged")
            return Photo("image/jpeg", b"".join([*kept, raw[place:end]]), *size)
        (length,) = unpack_from(">H", _part(raw, place + 2, 2))
        if length < 2:
            raise PhotoRefused("damaged")
        whole = _part(raw, place, length + 2)
        if kind in _JPEG_SIZES:
            height, width = unpack_from(">HH", _part(whole, 5, 4))
            size = width, height
        if kind not in _JPEG_NOTES:
            kept.append(whole)
        place += length + 2


def _part(raw: bytes, start: int, length: int) -> bytes:
    part = raw[start : start + length]
    if len(part) != length:
        raise PhotoRefused("damaged")
    return part

"""Photos: known by their bytes, without what a phone wrote into them."""

from struct import pack
from zlib import compress, crc32

import pytest

from cloud.meals.photos import BYTES_MAX, PhotoRefused, checked


def segment(kind: int, body: bytes) -> bytes:
    return pack(">BBH", 0xFF, kind, len(body) + 2) + body


def jpeg(width: int = 64, height: int = 48, tail: bytes = b"") -> bytes:
    size = segment(0xC0, pack(">BHHB", 8, height, width, 1) + b"\x01\x11\x00")
    notes = segment(0xE1, b"Exif\0\0 GPS 55.75 N") + segment(0xFE, b"taken by me")
    scan = segment(0xDA, b"\x01\x01\x00\x00\x3f\x00") + b"\x12\x34\xff\xd9"
    return b"\xff\xd8" + segment(0xE0, b"JFIF\0") + notes + size + scan + tail


def chunk(kind: bytes, body: bytes) -> bytes:
    return pack(">I", len(body)) + kind + body + pack(">I", crc32(kind + body))


def png(width: int = 64, height: int = 48) -> bytes:
    head = chunk(b"IHDR", pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    body = chunk(b"IDAT", compress(bytes((width + 1) * height)))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"tEXt", b"where\0home") + body + chunk(b"IEND", b"")


def test_photo_keeps_its_picture_and_loses_its_notes():
    photo = checked(jpeg(tail=b"<script>"))
    assert photo[0] == "image/jpeg"
    assert photo[2:] == (64, 48)
    for gone in (b"Exif", b"GPS", b"taken", b"script"):
        assert gone not in photo.image
    assert b"JFIF" in photo.image
    assert checked(photo.image) == photo
    photo = checked(png() + b"tail")
    assert (photo.media_type, photo.width, photo.height) == ("image/png", 64, 48)
    assert b"home" not in photo.image
    assert photo.image.endswith(chunk(b"IEND", b""))


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", "no JPEG or PNG"),
        (b"GIF89a" + bytes(60), "no JPEG or PNG"),
        (b"<svg onload=alert(1)>", "no JPEG or PNG"),
        (jpeg(4000, 10), "pixels"),
        (jpeg(16, 16), "pixels"),
        (png(3000, 40), "pixels"),
        (jpeg() + bytes(BYTES_MAX), "too large"),
    ],
)
def test_what_is_no_photo_is_refused(raw, reason):
    with pytest.raises(PhotoRefused, match=reason):
        checked(raw)


@pytest.mark.parametrize("whole", [jpeg(), png()])
def test_a_cut_photo_is_damaged_and_nothing_worse(whole):
    for length in range(8, len(whole)):
        with pytest.raises(PhotoRefused):
            checked(whole[:length])

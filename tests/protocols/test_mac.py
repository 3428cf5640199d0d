"""HMAC and HKDF against the published vectors, on each interpreter's own path."""

from protocols import mac


def test_hmac_matches_rfc_4231():
    expected = "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
    assert mac.hmac_sha256(b"\x0b" * 20, b"Hi There") == bytes.fromhex(expected)
    assert mac.hmac_sha256(b"\x0b" * 20, b"Hi ", b"There") == bytes.fromhex(expected)
    assert mac._hmac_plain(b"\x0b" * 20, (b"Hi There",)) == bytes.fromhex(expected)
    assert mac.Hmac(b"\x0b" * 20).mac(b"Hi ", b"There") == bytes.fromhex(expected)


def test_hmac_with_a_long_key_matches_rfc_4231():
    expected = bytes.fromhex("60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54")
    text = b"Test Using Larger Than Block-Size Key - Hash Key First"
    assert mac.hmac_sha256(b"\xaa" * 131, text) == expected
    assert mac.Hmac(b"\xaa" * 131).mac(text) == expected


def test_hkdf_matches_rfc_5869():
    expected = "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    assert mac.hkdf_sha256(b"\x0b" * 22, b"", 42) == bytes.fromhex(expected)


def test_sub_keys_differ_by_use():
    keys = mac.DeviceKeys(bytes(32))
    assert len({keys.chain, keys.up, keys.down, keys.table}) == 4
    assert "x" not in repr(keys)


def test_comparison_finds_every_difference():
    value = bytes(range(16))
    assert mac.equal(value, bytes(range(16)))
    assert not mac.equal(value, value[:15])
    for index in range(16):
        other = bytearray(value)
        other[index] ^= 1
        assert not mac.equal(value, other)

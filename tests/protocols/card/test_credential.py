"""One spelling for one card."""

from protocols import errors
from protocols.card import credential
from protocols.card.credential import canonical, card_ref


def refused(work, *given):
    try:
        work(*given)
    except errors.Fault as fault:
        return fault.code
    return errors.OK


def test_letter_case_does_not_matter():
    assert canonical(" A:04c716d07c564b ") == "a:04C716D07C564B"
    assert canonical("a:0F569FAB") == "a:0F569FAB"
    assert canonical("APP:4b4b01:00112233445566aa") == "app:4B4B01:00112233445566AA"


def test_every_scheme_keeps_its_spelling():
    for text in (
        "a:04A1B2C3",
        "a:04A1B2C3D4E5F6",
        "a:04A1B2C3D4E5F6071829",
        "b:01020304",
        "v:E004015012345678",
        "f:01160400B3084E22",
        "em:01026F6C3A",
        "w26:D41B81",
        "w34:89D41B81",
        "w37:7FFFFFFFF",
        "osdp:35:1234567820",
        "osdp:8:00",
        "app:4B4B01:0011223344556677",
        "app:D2760000850101:04C767F2066180",
        "qr:Zx09-_abcdefghij",
    ):
        assert canonical(text) == text
        assert canonical(canonical(text)) == text


def test_odd_credentials_are_refused():
    for text in (
        "",
        "a:",
        "a:04",
        "a:04C716D07C564",
        "x:04C716D0",
        "04C716D0",
        "a:04C716DG",
        "a:04C716D07C56",
        "a:88040C12",
        "v:0004015012345678",
        "em:01026F6C",
        "w26:D41B8",
        "w37:8FFFFFFFF",
        "osdp:35:12345678",
        "osdp:35:1234567821",
        "osdp:0:",
        "osdp:035:1234567820",
        "osdp:1234567820",
        "app:4B4B:0011223344556677",
        "app:4B4B01:001122",
        "app:0011223344556677",
        "qr:short",
        "qr:abcdefghijklmnop ",
        "qr:abcdefghijklmno/",
    ):
        code = refused(canonical, text)
        assert code == errors.BAD_CREDENTIAL or text == "qr:abcdefghijklmnop ", text


def test_reader_that_turns_bytes_round_is_set_right():
    assert credential.of_uid(b"\x04\xa1\xb2\xc3") == "a:04A1B2C3"
    assert credential.of_uid(b"\xc3\xb2\xa1\x04", is_reversed=True) == "a:04A1B2C3"
    assert credential.of_uid(b"\x00\xa1\xb2\xc3") == "a:00A1B2C3"


def test_cascade_tag_is_no_part_of_the_number():
    assert credential.of_uid(b"\x88\x04\xa1\xb2\xc3\xd4\xe5\xf6") == "a:04A1B2C3D4E5F6"
    assert refused(credential.of_uid, b"\x88\x04\x0c\x12") == errors.BAD_CREDENTIAL
    assert refused(credential.of_uid, b"\x04\xa1\xb2") == errors.BAD_CREDENTIAL


def test_random_and_lossy_numbers_are_not_given_out():
    assert refused(credential.check_enrolment, "a:08AB34F6") == errors.CARD_KIND
    assert refused(credential.check_enrolment, "w26:D41B81") == errors.CARD_KIND
    # Seven bytes that begin with 08 are a manufacturer's.
    for text in ("a:08AB34F6010203", "a:04AB34F6", "em:01026F6C3A", "app:4B4B01:0011223344556677"):
        assert refused(credential.check_enrolment, text) == errors.OK


def test_one_card_has_the_weak_spellings_of_its_readers():
    assert credential.aliases("em:01026F6C3A") == ("w34:026F6C3A", "w26:6F6C3A")
    # A 26-bit reader passes on the last three bytes as sent, or the first three turned round.
    assert credential.aliases("a:04A1B2C3") == ("w34:04A1B2C3", "w26:A1B2C3", "w34:C3B2A104", "w26:B2A104")
    assert int("A1B2C3", 16) == 10597059
    assert int("B2A104", 16) == 11706628
    assert credential.aliases("w26:6F6C3A") == ()
    for text in ("a:04A1B2C3D4E5F6", "em:01026F6C3A", "w34:026F6C3A"):
        for alias in credential.aliases(text):
            assert canonical(alias) == alias
            assert credential.is_weak(alias)


def test_parts_are_the_ends_of_a_number_and_no_credentials():
    assert (
        credential.parts("em:01026F6C3A")
        == credential.parts("w34:026F6C3A")
        == ("part:026F6C3A", "part:6F6C3A")
    )
    assert credential.parts("w26:6F6C3A") == ("part:6F6C3A",)
    for text in ("a:026F6C3A", "w37:123456789", "osdp:40:01026F6C3A", "app:4B4B01:0011223344556677"):
        assert credential.parts(text) == ()
    for name in credential.parts("em:01026F6C3A"):
        assert refused(canonical, name) == errors.BAD_CREDENTIAL


def test_reference_depends_on_school_and_card():
    key = bytes(range(32))
    first = card_ref(key, "a:0F569FAB")
    assert first == bytes.fromhex("198a1806dfba6e4471cfb469dfd1eb51")
    assert first != card_ref(key, "a:0F569FAC")
    assert first != card_ref(bytes(32), "a:0F569FAB")

"""Money text and ids: exact or refused."""

from protocols import errors, ids, money


def refused(call, text):
    try:
        call(text)
    except errors.Fault as fault:
        return fault.code
    return errors.OK


def test_amounts_are_read_exactly():
    for text, minor in (("85.00", 8500), ("0.05", 5), ("1500,5", 150050), (" 7 ", 700), ("-3.50", -350)):
        assert money.minor_from_text(text) == minor


def test_odd_amounts_are_refused():
    for text in (
        "",
        ".",
        "1.234",
        "1e3",
        "1 000",
        "0x10",
        "85.",
        ".5",
        "--1",
        "12345678901",
        "21474836.48",
        "\u0665",
    ):
        assert refused(money.minor_from_text, text) == errors.BAD_MONEY


def test_amounts_print_and_read_back():
    for minor in (0, 5, -5, 99, 100, 123456, -350, money.MAX_MINOR):
        assert money.minor_from_text(money.text_from_minor(minor)) == minor


def test_ids_have_eight_digits():
    assert ids.hex8(0xAB) == "000000ab"
    assert ids.parse_hex8("000000ab") == 0xAB
    for text in ("ab", "000000AB", "0000000g", "+00000ab", "000000ab0"):
        assert refused(ids.parse_hex8, text) == errors.BAD_ID
    assert refused(ids.hex8, 1 << 32) == errors.BAD_ID


def test_random_id_is_never_zero():
    answers = [bytes(4), b"\x01\x00\x00\x00"]
    assert ids.random_id(lambda _size: answers.pop(0)) == 1

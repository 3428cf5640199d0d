"""Printed numbers: one card in all its spellings, and no guess."""

from protocols import errors
from protocols.card import credential, printed

# The same EM4100 fob as five systems print it, and what each spelling still says.
SPELLINGS = (
    ("01026F6C3A", "", "em:01026F6C3A"),
    ("004335823930", "", "em:01026F6C3A"),
    ("0004335823930", "", "em:01026F6C3A"),
    ("0040856634", "em-32", "w34:026F6C3A"),
    ("07302202", "em-24", "w26:6F6C3A"),
    ("111,27706", "", "w26:6F6C3A"),
    ("00623,27706", "", "w34:026F6C3A"),
)


def fault_of(text, name=""):
    try:
        printed.parse(text, name)
    except errors.Fault as fault:
        return fault
    return None


def test_one_fob_in_all_its_spellings():
    whole = "em:01026F6C3A"
    known = list(credential.aliases(whole))
    known.append(whole)
    for text, name, expected in SPELLINGS:
        found = printed.parse(text, name)
        assert found.credential == expected, text
        assert found.credential in known
        assert ("lossy" in found.warnings) == (expected != whole)


def test_published_pairs_name_one_card():
    assert printed.parse("0013961168", "em-32").credential == "w34:00D507D0"
    assert printed.parse("213,02000").credential == "w26:D507D0"
    assert printed.parse("0004329479323").credential == "em:01020E9C9B"
    assert printed.parse("014,40091").credential in credential.aliases("em:01020E9C9B")


def test_serial_number_in_both_orders():
    for text, name in (
        ("04A1B2C3", "hex"),
        ("C3B2A104", "hex-back"),
        ("77705923", "dec"),
        ("3283263748", "dec-back"),
        ("04:a1:b2:c3", ""),
        ("04-A1-B2-C3", ""),
    ):
        assert printed.parse(text, name).credential == "a:04A1B2C3", text
    assert printed.parse("E004015012345678").credential == "v:E004015012345678"
    assert printed.parse("78563412500104E0", "hex-back").credential == "v:E004015012345678"


def test_ambiguous_number_names_its_formats():
    for text in ("0013961168", "77705923", "12345678", "78563412500104E0"):
        fault = fault_of(text)
        assert fault is not None, text
        assert (fault.code, fault.thing) == (errors.CARD_KIND, "ambiguous")
        assert len(fault.detail.split()) > 1
        for name in fault.detail.split():
            assert printed.parse(text, name).format == name


def test_numbers_that_say_too_little_are_refused():
    for text in ("", "27706", "111,", ",27706", "256,27706", "111,65536", "1099511627776", "88040C12X", "+7"):
        fault = fault_of(text)
        assert fault is not None, text
        assert fault.code == errors.BAD_CREDENTIAL, text
    assert fault_of("88040C12").code == errors.CARD_KIND
    assert fault_of("0040856634", "em-40").code == errors.BAD_CREDENTIAL
    assert fault_of("0040856634", "nothing").code == errors.BAD_CREDENTIAL


def test_fault_does_not_carry_the_number():
    for text in ("04A1B2C3D4", "12345678", "0040856634"):
        fault = fault_of(text + "9" if text[0] == "0" else text)
        assert fault is None or text not in str(fault)


def test_random_number_is_warned_of():
    assert printed.parse("08AB34F6").warnings == ("random", "clonable")
    assert printed.parse("app:4B4B01:0011223344556677").warnings == ()

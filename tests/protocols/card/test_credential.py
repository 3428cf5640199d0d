"""One spelling for one card."""

from protocols import errors
from protocols.card.credential import canonical, card_ref


def refused(text):
    try:
        canonical(text)
    except errors.Fault as fault:
        return fault.code
    return errors.OK


def test_letter_case_does_not_matter():
    assert canonical(" A:04c716d07c564b ") == "a:04C716D07C564B"
    assert canonical("a:0F569FAB") == "a:0F569FAB"


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
    ):
        assert refused(text) == errors.BAD_CREDENTIAL


def test_reference_depends_on_school_and_card():
    key = bytes(range(32))
    first = card_ref(key, "a:0F569FAB")
    assert first == bytes.fromhex("198a1806dfba6e4471cfb469dfd1eb51")
    assert first != card_ref(key, "a:0F569FAC")
    assert first != card_ref(bytes(32), "a:0F569FAB")

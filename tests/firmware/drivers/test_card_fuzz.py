"""Random and mutated bytes into everything that decodes what a card says: no crash, no hang, no wrong card.

KLASSKART_FUZZ=1000000 pytest tests/firmware/drivers/test_card_fuzz.py is the long run.
"""

import random

import pytest

from protocols.card import application, credential, native, printed, tag
from protocols.card.application import CANTEEN, GATE
from protocols.errors import Fault
from tests.firmware.drivers.test_reader_fuzz import COUNT, mutated
from tests.protocols.card import test_desfire as desfire_cards
from tests.protocols.card import test_ntag424 as ntag_cards
from tests.protocols.card.virtual_card import randoms

GOOD = (
    "a:04C767F2066180", "a:04A1B2C3", "b:01020304", "v:E004010203040506", "f:01160400B3084E22",
    "em:01026F6C3A", "w26:6F6C3A", "w34:026F6C3A", "w37:1FFFFFFFF", "osdp:26:EA0DC080",
    "app:4B4B01:0011223344556677", "qr:ABCDEFGHIJKLMNOPqrstuvwxyz012345",
)  # fmt: skip
PRINTED = ("04:A1:B2:C3", "77705923", "004335823930", "0040856634", "07302202", "111,27706", "00623,27706")
# So many responses of a card stand in one talk with it.
RESPONSES = 5
# Those up to the card's challenge stand under no key; a change of any behind them is seen.
UNPROTECTED = 3
LONGEST = 64


def text_of(source, good):
    if source.randrange(4) == 0:
        highest = source.choice((126, 0x500))
        return "".join(chr(source.randrange(1, highest)) for _ in range(source.randrange(24)))
    return mutated(source, source.choice(good).encode()).decode("utf-8", "replace")


def test_credentials():
    source = random.Random(11)
    for _ in range(COUNT):
        text = text_of(source, GOOD)
        try:
            made = credential.canonical(text)
        except Fault:
            continue
        # What is taken is what was said: no digit is lost, made up or moved.
        assert made.lower() == text.strip().lower()
        assert credential.canonical(made) == made


def test_printed_numbers():
    source = random.Random(12)
    formats = ("", *printed.FORMATS)
    for number in range(COUNT):
        text = text_of(source, (*PRINTED, *GOOD))
        try:
            found = printed.parse(text, formats[number % len(formats)])
        except Fault:
            continue
        assert credential.canonical(found.credential) == found.credential


def test_serial_numbers():
    source = random.Random(13)
    for _ in range(COUNT):
        uid = source.randbytes(source.randrange(12))
        if source.randrange(8) == 0:
            uid = b"\x88" + uid[:7]
        is_reversed = source.randrange(2) == 1
        try:
            made = credential.of_uid(uid, is_reversed)
        except Fault:
            continue
        assert credential.canonical(made) == made
        told = uid[::-1] if is_reversed else uid
        # Of 8 bytes the first is a cascade tag, which is no part of the number.
        assert made == "a:" + (told[1:] if len(told) == 8 and told[0] == 0x88 else told).hex().upper()
        assert len(made) in (10, 16, 22)


class Damaged:
    """Exchanges with a card whose response number `place` comes damaged; `changed` says whether it did."""

    def __init__(self, source, virtual, place):
        self.source = source
        self.virtual = virtual
        self.place = place
        self.count = 0
        self.changed = False

    def __call__(self, command):
        self.count += 1
        assert self.count < LONGEST, "a talk without an end"
        told = self.virtual.apdu(native.wrap(command))
        true = native.unwrap(told)
        if self.count != self.place:
            return true
        is_noise = self.source.randrange(4) == 0
        answer = native.unwrap(
            self.source.randbytes(self.source.randrange(70)) if is_noise else mutated(self.source, told)
        )
        # There are two ways to say success: 91 00 and 90 00.
        self.changed = answer != true
        return answer


# With how many commands state() begins before it identifies a card that is issued.
each_card = pytest.mark.parametrize(
    ("cards", "talks", "before"),
    [(desfire_cards, application, 4), (ntag_cards, tag, 6)],
    ids=["desfire", "ntag424"],
)


@each_card
def test_responses_of_a_card(cards, talks, before):
    source = random.Random(14)
    virtual, masters = cards.issued(), cards.masters()
    true = cards.hold(virtual, talks.identify(cards.UID, GATE, masters.of, randoms(2)))
    proved = 0
    for number in range(COUNT // RESPONSES + 1):
        virtual.reset()
        role = (GATE, CANTEEN)[number % 2]
        talk = talks.identify(cards.UID, role, masters.of, source.randbytes)
        exchange = Damaged(source, virtual, source.randrange(1, RESPONSES + 1))
        try:
            found = native.run(talk, exchange)
        except Fault:
            continue
        assert found == true
        assert not exchange.changed or exchange.place <= UNPROTECTED
        proved += 1
    # A change of what nobody reads, as the end of a version, leaves the card what it is.
    assert proved <= COUNT // RESPONSES // 3 + 1


@each_card
def test_answers_at_the_desk(cards, talks, before):
    source = random.Random(15)
    virtual, masters = cards.issued(), cards.masters()
    true = cards.hold(virtual, talks.identify(cards.UID, GATE, masters.of, randoms(2)))
    for _ in range(COUNT // RESPONSES + 1):
        virtual.reset()
        talk = talks.state(cards.UID, masters, source.randbytes)
        exchange = Damaged(source, virtual, source.randrange(1, before + RESPONSES + 1))
        try:
            state, found = native.run(talk, exchange)
        except Fault:
            continue
        if state == "issued":
            assert found == true
            assert not exchange.changed or exchange.place <= before + UNPROTECTED
        else:
            assert state in ("new", "begun", "foreign")
            assert (found, exchange.changed) == ("", True)

"""NTAG 424 DNA: keys for each role, tags pulled away, SUN messages once and never again."""

from protocols import errors
from protocols.card import desfire, native, ntag424, tag
from protocols.card.application import CANTEEN, GATE, Masters
from tests.protocols.card.test_desfire import fault_of, hold
from tests.protocols.card.virtual_card import Pulled, randoms
from tests.protocols.card.virtual_desfire import VirtualDesfire
from tests.protocols.card.virtual_ntag import VirtualNtag

UID = bytes.fromhex("04DE5F1EACC040")
NAME = "app:D2760000850101:04DE5F1EACC040"


def masters(version=1, byte=0):
    return Masters({(role, version): bytes((byte + role, version)) * 8 for role in range(6)})


def blank():
    return VirtualNtag(UID, randoms(7))


def issued():
    virtual = blank()
    assert hold(virtual, tag.issue(UID, masters(), randoms(1))) == NAME
    return virtual


def test_issued_tag_is_known_to_each_role():
    virtual = issued()
    for role in (GATE, CANTEEN):
        virtual.reset()
        virtual.commands = 0
        assert hold(virtual, tag.identify(UID, role, masters().of, randoms(2))) == NAME
        assert virtual.commands == 5
    only_gates = Masters({(GATE, 1): masters().of(GATE, 1)})
    fault = fault_of(virtual, tag.identify(UID, CANTEEN, only_gates.of, randoms(2)))
    assert fault.code == errors.CARD_NOT_GENUINE


def test_kind_is_told_by_get_version():
    assert hold(blank(), desfire.get_version()).type == 0x04


def test_tag_without_keys_is_not_genuine():
    fault = fault_of(blank(), tag.identify(UID, GATE, masters().of, randoms(2)))
    assert fault.code == errors.CARD_NOT_GENUINE
    assert hold(blank(), tag.state(UID, masters(), randoms(2))) == ("new", "")


def test_tag_that_shows_another_number_is_not_genuine():
    virtual = issued()
    virtual.uid = bytes.fromhex("04DE5F1EACC041")
    fault = fault_of(virtual, tag.identify(UID, GATE, masters().of, randoms(2)))
    assert (fault.code, fault.thing) == (errors.CARD_NOT_GENUINE, "uid")


def test_other_card_says_that_it_is_no_tag():
    other = VirtualDesfire(UID, randoms(3))
    assert tag.is_absent(fault_of(other, tag.identify(UID, GATE, masters().of, randoms(2))))


def test_tag_pulled_away_at_any_command_is_finished_or_recycled():
    whole = issued().commands
    for place in range(whole):
        for is_wiped in (False, True):
            virtual = blank()
            virtual.left = place
            try:
                hold(virtual, tag.issue(UID, masters(), randoms(1)))
                raise AssertionError(place)
            except Pulled:
                pass
            virtual.left = None
            virtual.reset()
            if is_wiped:
                hold(virtual, tag.wipe(UID, masters(), randoms(2)))
                assert hold(virtual, tag.state(UID, masters(), randoms(3))) == ("new", "")
            assert hold(virtual, tag.issue(UID, masters(), randoms(4))) == NAME
            assert hold(virtual, tag.state(UID, masters(), randoms(5))) == ("issued", NAME)


def test_tag_of_another_school_is_foreign():
    others = masters(byte=100)
    assert hold(issued(), tag.state(UID, others, randoms(3))) == ("foreign", "")


def file_key(uid):
    return tag.key_of(masters().of(tag.SUN_ROLE, 1), uid, tag.SUN_ROLE)


def check(message, last):
    meta = tag.key_of(masters().of(tag.META_ROLE, 1), UID, tag.META_ROLE)
    return ntag424.check_sun(meta, file_key, message[0], message[1], last)


def sun_fault(message, last):
    try:
        check(message, last)
    except errors.Fault as fault:
        return fault.code
    return errors.OK


def test_sun_message_counts_once():
    virtual = issued()
    first = virtual.sun()
    second = virtual.sun()
    found = check(first, 0)
    assert (found.uid, found.counter) == (UID, 1)
    assert sun_fault(first, 1) == errors.CARD_REPLAYED
    assert check(second, 1).counter == 2
    # What was read and kept back is older than what came since.
    assert sun_fault(first, 2) == errors.CARD_REPLAYED


def test_changed_sun_message_is_not_genuine():
    sealed, mac = issued().sun()
    for place in range(16):
        spoiled = bytearray(sealed)
        spoiled[place] ^= 0x04
        assert sun_fault((bytes(spoiled), mac), 0) == errors.CARD_NOT_GENUINE
    for place in range(8):
        spoiled = bytearray(mac)
        spoiled[place] ^= 0x04
        assert sun_fault((sealed, bytes(spoiled)), 0) == errors.CARD_NOT_GENUINE
    assert sun_fault((sealed[:15], mac), 0) == errors.CARD_NOT_GENUINE
    assert sun_fault((sealed, mac[:7]), 0) == errors.CARD_NOT_GENUINE
    # A replayed counter is told from a forged one only after the MAC was right.
    assert sun_fault((sealed, bytes(8)), 9) == errors.CARD_NOT_GENUINE


def test_wrapping_knows_both_kinds_of_command():
    assert native.wrap(b"\xa4\x01\x02") == b"\x00\xa4\x04\x00\x02\x01\x02\x00"
    assert native.unwrap(b"\x90\x00") == b"\x00"
    assert native.unwrap(b"\x6a\x82") == b"\xa0"
    assert native.unwrap(b"\x01\x02\x91\xaf") == b"\xaf\x01\x02"
    for odd in (b"", b"\x91", b"\x67\x00", b"\x01\x02\x03"):
        try:
            native.unwrap(odd)
        except errors.Fault as fault:
            assert fault.code == errors.CARD_ANSWER
        else:
            raise AssertionError(odd)

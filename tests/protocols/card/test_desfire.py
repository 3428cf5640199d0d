"""DESFire: sessions, the school's application, and a card that is pulled away at any moment."""

from protocols import errors
from protocols.card import application, desfire, handshake, native
from protocols.card.application import CANTEEN, CARD, DESK, GATE, Masters
from protocols.card.messaging import FULL, MAC, PLAIN, Open
from tests.protocols.card.virtual_card import Pulled, randoms
from tests.protocols.card.virtual_desfire import VirtualDesfire
from tests.protocols.card.virtual_sessions import OK

UID = bytes.fromhex("04C767F2066180")
ON_AIR = b"\x01\x4b\x4b"
IDENTITY = bytes.fromhex("0011223344556677")
ROLES = (DESK, GATE, CANTEEN, CARD)


def masters(*versions):
    return Masters(
        {(role, version): bytes((role, version)) * 8 for role in ROLES for version in versions or (1,)}
    )


def card(is_ev1=False):
    return VirtualDesfire(UID, randoms(7), is_ev1)


def hold(virtual, talk):
    return native.run(talk, lambda command: native.unwrap(virtual.apdu(native.wrap(command))))


def fault_of(virtual, talk):
    try:
        hold(virtual, talk)
    except errors.Fault as fault:
        return fault
    raise AssertionError("no fault")


def issued(is_ev1=False, known=None):
    virtual = card(is_ev1)
    made = hold(virtual, application.issue(UID, IDENTITY, known or masters(), randoms(1)))
    assert made == "app:4B4B01:0011223344556677"
    return virtual


def test_card_answers_as_the_published_transcript():
    sent = [bytes.fromhex("B9E2FC789B64BF237CCCAA20EC7E6E48"), bytes.fromhex("9D00C4DF")]
    virtual = VirtualDesfire(UID, lambda count: sent.pop(0))
    virtual.applications[b"\0\0\0"].keys[0].kind = "aes"
    assert virtual.reply(b"\x71\x00\x00") == b"\xaf" + bytes.fromhex("A04C124213C186F22399D33AC2A30215")
    proof = "35C3E05A752E0144BAC0DE51C1F22C56B34408A23D8AEA266CAB947EA8E0118D"
    told = virtual.reply(b"\xaf" + bytes.fromhex(proof))
    # The tag of the transcript has other capabilities in its last bytes: the first block is the same.
    assert told[:17] == b"\x00" + bytes.fromhex("3FA64DB5446D1F34CD6EA311167F5E49")
    assert virtual.session.encryption == bytes.fromhex("1309C877509E5A215007FF0ED19CA564")
    assert virtual.session.mac_key == bytes.fromhex("4C6626F5E72EA694202139295C7A7FC7")


def test_ev1_card_answers_as_the_published_transcript():
    sent = [bytes.fromhex("C05DDD714FD788A6B7B754F3C4D066E8")]
    virtual = VirtualDesfire(UID, lambda count: sent.pop(0), True)
    virtual.applications[b"\0\0\0"].keys[0].kind = "aes"
    assert virtual.reply(b"\xaa\x00") == b"\xaf" + bytes.fromhex("B969FDFE56FD91FC9DE6F6F213B8FD1E")
    proof = "36AAD7DF6E436BA08D18613830A70D5AD43E3D3F4A8D47541EEE623A934E4774"
    told = virtual.reply(b"\xaf" + bytes.fromhex(proof))
    assert told == b"\x00" + bytes.fromhex("800DB680BC146BD121D6578F2D2E2059")
    assert virtual.session.key == bytes.fromhex("F44B26F5C05DDD7110772281C4D066E8")


def test_kind_is_told_by_get_version():
    assert hold(card(), desfire.get_version()).major == 0x12
    version = hold(card(True), desfire.get_version())
    assert (version.major, version.vendor, version.uid) == (0x01, 0x04, UID)


def test_issued_card_is_known_at_the_gate_and_at_the_line():
    for is_ev1 in (False, True):
        virtual = issued(is_ev1)
        for role in (GATE, CANTEEN):
            virtual.reset()
            virtual.commands = 0
            made = hold(virtual, application.identify(UID, role, masters().of, randoms(3)))
            assert made == "app:4B4B01:0011223344556677"
            # The failed try of EV2 is one more on an old card.
            assert virtual.commands == 5 + is_ev1


def test_commands_of_each_work():
    """As docs/security/cards.md has them: giving a new card, identifying it, renewing the gates' key on it,
    wiping it, and giving it again."""
    gate = masters(2).of(GATE, 2)
    both = Masters({(role, 1): masters().of(role, 1) for role in ROLES} | {(GATE, 2): gate})
    for is_ev1, expected in ((False, (32, 5, 21, 12, 31)), (True, (36, 6, 24, 14, 35))):
        virtual = card(is_ev1)
        found = []
        for talk in (
            application.issue(UID, IDENTITY, masters(), randoms(1)),
            application.identify(UID, GATE, masters().of, randoms(2)),
            application.issue(UID, IDENTITY, both, randoms(3)),
            application.wipe(UID, both, randoms(4)),
            application.issue(UID, IDENTITY, both, randoms(5)),
        ):
            virtual.commands = 0
            hold(virtual, talk)
            found.append(virtual.commands)
        assert tuple(found) == expected


def test_copy_with_the_same_number_is_not_genuine():
    copy = VirtualDesfire(UID, randoms(9))
    fault = fault_of(copy, application.identify(UID, GATE, masters().of, randoms(3)))
    assert native.status_of(fault) == native.NO_SUCH_APPLICATION
    # A better copy has the application, but no key.
    hold(copy, desfire.create_application(Open(), application.APPLICATION, 0x0B, 3))
    assert (
        fault_of(copy, application.identify(UID, GATE, masters().of, randoms(3))).code
        == errors.CARD_NOT_GENUINE
    )
    copy.applications[ON_AIR].keys[GATE].version = 1
    assert (
        fault_of(copy, application.identify(UID, GATE, masters().of, randoms(3))).code
        == errors.CARD_NOT_GENUINE
    )


def test_card_of_another_number_holds_other_keys():
    virtual = issued()
    other = bytes.fromhex("04C767F2066181")
    assert fault_of(virtual, application.identify(other, GATE, masters().of, randoms(3))).code == (
        errors.CARD_NOT_GENUINE
    )


def test_key_of_a_gate_opens_nothing_else():
    virtual = issued()
    gate_only = Masters({(GATE, 1): masters().of(GATE, 1)})
    assert fault_of(virtual, application.identify(UID, CANTEEN, gate_only.of, randoms(3))).code == (
        errors.CARD_NOT_GENUINE
    )
    hold(virtual, desfire.select(application.APPLICATION))
    key = application.card_key(masters().of(GATE, 1), UID, GATE)
    for work in (
        lambda session: desfire.read_file(session, CANTEEN, 0, 16),
        lambda session: desfire.write_file(session, GATE, 0, bytes(16)),
        lambda session: desfire.change_key(session, GATE, bytes(16), 0),
        lambda session: desfire.delete_application(session, application.APPLICATION),
    ):
        hold(virtual, desfire.select(application.APPLICATION))
        session = hold(virtual, application.authenticate(key, GATE, randoms(4)))
        assert fault_of(virtual, work(session)).code == errors.CARD_REFUSES
    assert hold(virtual, application.identify(UID, GATE, masters().of, randoms(3)))


def test_card_pulled_away_at_any_command_is_finished():
    for is_ev1 in (False, True):
        whole = issued(is_ev1).commands
        for place in range(whole):
            virtual = card(is_ev1)
            virtual.left = place
            try:
                hold(virtual, application.issue(UID, IDENTITY, masters(), randoms(1)))
                raise AssertionError(place)
            except Pulled:
                pass
            virtual.left = None
            virtual.reset()
            made = hold(virtual, application.issue(UID, IDENTITY, masters(), randoms(2)))
            assert made == "app:4B4B01:0011223344556677", place
            assert hold(virtual, application.state(UID, masters(), randoms(5))) == ("issued", made)


def test_card_pulled_away_at_any_command_is_recycled():
    whole = issued().commands
    for place in range(whole):
        virtual = card()
        virtual.left = place
        try:
            hold(virtual, application.issue(UID, IDENTITY, masters(), randoms(1)))
        except Pulled:
            pass
        virtual.left = None
        virtual.reset()
        hold(virtual, application.wipe(UID, masters(), randoms(2)))
        assert hold(virtual, application.state(UID, masters(), randoms(5))) == ("new", "")
        other = hold(virtual, application.issue(UID, bytes(8), masters(), randoms(3)))
        assert other == "app:4B4B01:0000000000000000"


def test_wipe_cut_off_is_wiped_again():
    virtual = issued()
    before = virtual.commands
    hold(virtual, application.wipe(UID, masters(), randoms(2)))
    whole = virtual.commands - before
    for place in range(whole):
        virtual = issued()
        virtual.left = place
        try:
            hold(virtual, application.wipe(UID, masters(), randoms(2)))
        except Pulled:
            pass
        virtual.left = None
        virtual.reset()
        hold(virtual, application.wipe(UID, masters(), randoms(2)))
        assert hold(virtual, application.state(UID, masters(), randoms(5))) == ("new", "")


def test_two_versions_of_a_key_live_side_by_side():
    virtual = issued()
    both = masters(1, 2)
    assert hold(virtual, application.identify(UID, GATE, both.of, randoms(3)))
    # The desk renews what it has before it; then the old version alone does not know the card any more.
    assert hold(virtual, application.issue(UID, bytes(8), both, randoms(4))) == "app:4B4B01:0011223344556677"
    assert hold(virtual, application.identify(UID, GATE, masters(2).of, randoms(3)))
    assert fault_of(virtual, application.identify(UID, GATE, masters(1).of, randoms(3))).code == (
        errors.CARD_NOT_GENUINE
    )


def test_card_of_another_school_is_foreign():
    virtual = issued()
    others = Masters({(role, 1): b"\xee" * 16 for role in ROLES})
    assert hold(virtual, application.state(UID, others, randoms(5))) == ("foreign", "")
    assert fault_of(virtual, application.wipe(UID, others, randoms(5))).code == errors.CARD_NOT_GENUINE
    assert hold(virtual, application.identify(UID, GATE, masters().of, randoms(3)))


def test_random_number_cannot_be_issued():
    virtual = card()
    assert fault_of(
        virtual, application.issue(b"\x08\x01\x02\x03", IDENTITY, masters(), randoms(1))
    ).code == (errors.FIELD_RANGE)
    assert not virtual.commands


def session_of(is_ev1):
    """A card with a file of each mode, free to the key of zeros, and a session."""
    virtual = card(is_ev1)
    hold(virtual, desfire.create_application(Open(), b"\x01\x02\x03", 0x0F, 1))
    hold(virtual, desfire.select(b"\x01\x02\x03"))
    session = hold(virtual, application.authenticate(bytes(16), 0, randoms(1)))
    for number, mode in ((1, PLAIN), (2, MAC), (3, FULL)):
        rights = desfire.access(read=0, write=0, both=0, change=0)
        hold(virtual, desfire.create_file(session, number, mode, rights, 200))
    return virtual, session


def test_files_in_every_mode_keep_what_is_written():
    for is_ev1 in (False, True):
        virtual, session = session_of(is_ev1)
        for number, mode in ((1, PLAIN), (2, MAC), (3, FULL)):
            for size in (1, 12, 16, 54, 120, 200):
                data = bytes((number + place) & 0xFF for place in range(size))
                hold(virtual, desfire.write_file(session, number, 0, data, mode))
                assert hold(virtual, desfire.read_file(session, number, 0, size, mode)) == data
        assert hold(virtual, desfire.file_ids(session)) == [1, 2, 3]
        assert hold(virtual, desfire.key_version(session, 0)) == 0


def test_turned_bit_in_a_reply_is_seen():
    for is_ev1 in (False, True):
        for number, mode in ((2, MAC), (3, FULL)):
            for place in (1, 5, 16):
                virtual, session = session_of(is_ev1)

                def spoiled(command, virtual=virtual, place=place):
                    answer = bytearray(virtual.reply(command))
                    answer[place] ^= 0x10
                    return bytes(answer)

                try:
                    native.run(desfire.read_file(session, number, 0, 16, mode), spoiled)
                except errors.Fault as fault:
                    assert fault.code == errors.CARD_NOT_GENUINE
                else:
                    raise AssertionError((is_ev1, number, place))


def test_next_authentication_goes_on_with_the_transaction():
    virtual, session = session_of(False)
    before = session.transaction, session.counter
    again = hold(virtual, handshake.ev2_next(bytes(16), 0, randoms(8)(16), session))
    assert (again.transaction, again.counter) == before
    assert hold(virtual, desfire.read_file(again, 3, 0, 16, FULL)) == bytes(16)


def test_odd_replies_are_faults():
    for reply in (b"", b"\xaf", b"\x00", b"\xaf" + bytes(15), b"\xae", b"\x1c"):
        try:
            native.run(handshake.ev1(bytes(16), 0, bytes(16)), lambda command, reply=reply: reply)
        except errors.Fault as fault:
            assert fault.code in (errors.CARD_ANSWER, errors.CARD_REFUSES, errors.CARD_NOT_GENUINE)
        else:
            raise AssertionError(reply)
    # A card that always has more to say is not listened to for ever.
    try:
        native.run(native.transact(native.GET_VERSION), lambda command: b"\xaf" + bytes(59))
    except errors.Fault as fault:
        assert fault.code == errors.CARD_REFUSES
    assert OK == native.OK

"""A line with a till: what is rung up pays once, and the till hears nothing that tells of money."""

from firmware.hal.board import CANTEEN
from protocols.errors import CARD_SEVERAL, OK, READER_DEAD
from protocols.ledger import record
from protocols.wire import till
from protocols.wire.messages import FIXED_MOMENT, OFFLINE_AT_ONCE
from protocols.wire.table import BLOCKED, CREDIT, WEAK, meal_flag
from tests.firmware.parts import MORNING
from tests.firmware.rig import ANNA, BORIS, KEY, VERA, Rig, row, settings

LUNCH, BUN = 7, 8
MENU = ((LUNCH, 0, 1439, 14000, 2), (BUN, 0, 1439, 4500, 0))
DAY = (MORNING + 3 * 3600) // 86400
STRANGER, WEAKLING, DEBTOR = "a:04AAAAAAAAAAAA", "a:04BBBBBBBBBBBB", "a:04CCCCCCCCCCCC"


class Wire:
    """The serial wire and the till at its other end.  `is_cut`: what is said is lost both ways."""

    def __init__(self):
        self.to_line = b""
        self.is_cut = False
        self.talk = till.Talk(till.pairing_key(KEY), False)
        self.frames = till.Frames()
        self.heard = []
        self.nonces = 0

    def write(self, data):
        if self.is_cut:
            return
        messages = [self.talk.open(packet) for packet in self.frames.take(data)]
        self.heard += [each for each in messages if each[0] != till.OPENED]

    def read_into(self, buffer):
        piece, self.to_line = self.to_line[: len(buffer)], self.to_line[len(buffer) :]
        buffer[: len(piece)] = piece
        return len(piece)

    def say(self, kind, body=b""):
        self.to_line += self.talk.seal(kind, body)

    def begin(self, rig):
        """Open a talk and ask how the line stands."""
        self.nonces += 1
        self.to_line += self.talk.begin(b"nonce%03d" % self.nonces)
        rig.run()
        return self.state(rig)

    def state(self, rig):
        self.say(till.ASK)
        rig.run()
        kind, body = self.heard.pop()
        assert kind == till.STATE
        return till.unpack_state(body)

    def ring(self, rig, op, *lines):
        self.say(till.RING, till.pack_ring(op, lines))
        rig.run()

    def verdict(self):
        """The verdict that was heard, and nothing else."""
        assert [kind for kind, _body in self.heard] == [till.VERDICT]
        return till.unpack_verdict(self.heard.pop()[1])


def line(flags=OFFLINE_AT_ONCE, wire=None, sectors=8):
    rows = (
        row(ANNA, 11, 50000),
        row(BORIS, 12, 0, flags=CREDIT | meal_flag(2), benefit_days=3),
        row(VERA, 13, 50000, flags=BLOCKED),
        row(WEAKLING, 14, 50000, flags=WEAK),
        row(DEBTOR, 15, 0, flags=CREDIT),
    )
    given = settings(menu=MENU, flags=flags, weak_day=1000)
    rig = Rig(CANTEEN, sectors, rows, given, DAY, 20000, serial=wire or Wire())
    opened = rig.serial.begin(rig)
    assert opened.op == 0
    return rig


def test_what_is_rung_up_pays_for_one_card():
    rig = line()
    rig.serial.ring(rig, 5, (LUNCH, 1), (BUN, 2))
    assert rig.serial.state(rig).op == 5
    assert rig.tap(ANNA)[0] == "served"
    sale = rig.of_type(record.SALE)[0]
    assert sale.amount == 14000 + 2 * 4500
    assert rig.serial.verdict() == till.Verdict(5, till.SERVED, sale.seq, MORNING)
    assert rig.tap(BORIS)[0] == "ask"
    assert rig.serial.verdict()[:2] == (0, till.NOTHING)
    state = rig.serial.state(rig)
    assert (state.op, state.sale, state.sale_time) == (0, sale.seq, MORNING)
    assert (state.next, state.table, state.day) == (rig.controller.journal.next_seq, 1, DAY)


def test_nothing_is_sold_without_a_till():
    """Though the line itself would know the meal of the hour."""
    rig = line()
    assert rig.tap(ANNA)[0] == "ask"
    rig.serial.verdict()
    rig.reboot()
    rig.clock.pass_ms(60000)
    assert rig.tap(ANNA)[0] == "ask"
    assert rig.of_type(record.SALE) == []


def test_newest_ring_counts_and_an_empty_one_takes_back():
    rig = line()
    rig.serial.ring(rig, 5, (LUNCH, 1))
    rig.serial.ring(rig, 6, (BUN, 1))
    assert rig.tap(ANNA)[0] == "served"
    assert rig.serial.verdict().op == 6
    assert rig.of_type(record.SALE)[0].amount == 4500
    rig.serial.ring(rig, 7, (LUNCH, 1))
    rig.serial.ring(rig, 8)
    assert rig.tap(BORIS)[0] == "ask"
    assert rig.serial.verdict().kind == till.NOTHING


def heard_of(card, good=LUNCH, flags=OFFLINE_AT_ONCE):
    """All that a till hears of one card: kind, length and moment of each message, numbers left out."""
    rig = line(flags)
    rig.serial.ring(rig, 5, (good, 1))
    if flags & FIXED_MOMENT:
        rig.link.online = True
    rig.tap(card)
    heard, started = [], rig.clock.real
    for _ in range(200):
        for kind, body in rig.serial.heard:
            verdict = till.unpack_verdict(body)
            heard.append((kind, len(body), verdict.op, verdict.kind, verdict.time, rig.clock.real - started))
        rig.serial.heard.clear()
        rig.run(10)
    return heard


def test_paid_free_and_owed_meals_sound_alike():
    for flags in (OFFLINE_AT_ONCE, FIXED_MOMENT):
        money, benefit, credit = (heard_of(card, flags=flags) for card in (ANNA, BORIS, DEBTOR))
        assert [each[3] for each in money] == [till.SERVED]
        assert money == benefit == credit


def test_no_money_limit_and_closed_card_sound_alike():
    for flags in (OFFLINE_AT_ONCE, FIXED_MOMENT):
        told = [heard_of(card, BUN, flags) for card in (DEBTOR, WEAKLING, VERA)]
        assert [each[3] for each in told[0]] == [till.TEACHER]
        if flags == OFFLINE_AT_ONCE:
            assert told[0] == told[1] == told[2]
        assert [[each[:5] for each in one] for one in told] == [[each[:5] for each in told[0]]] * 3


def test_other_refusals_say_what_the_staff_can_do():
    for card, good, kind in (
        (STRANGER, LUNCH, till.CARD),
        ("rubbish", LUNCH, till.CARD),
        (ANNA, 99, till.NOTHING),
    ):
        assert [each[3] for each in heard_of(card, good)] == [kind]
    rig = line()
    rig.controller.lock_for_good(70)
    assert rig.serial.state(rig).flags & till.LOCKED
    rig.serial.ring(rig, 5, (LUNCH, 1))
    rig.tap(ANNA)
    assert rig.serial.verdict().kind == till.LINE


def test_repeated_tap_leaves_what_is_rung_up():
    rig = line()
    rig.serial.ring(rig, 5, (BUN, 1))
    rig.tap(ANNA)
    rig.serial.verdict()
    rig.serial.ring(rig, 6, (BUN, 1))
    assert rig.tap(ANNA)[0] == "repeat"
    assert rig.serial.verdict()[:2] == (0, till.REPEAT)
    assert rig.serial.state(rig).op == 6
    assert len(rig.of_type(record.SALE)) == 1


def test_card_that_waits_keeps_its_op():
    """The till must not take what is being decided for what never happened."""
    rig = line(FIXED_MOMENT)
    rig.link.online = True
    rig.serial.ring(rig, 5, (LUNCH, 1))
    rig.tap(ANNA)
    assert rig.serial.heard == []
    assert rig.serial.state(rig).op == 5
    rig.serial.ring(rig, 6, (BUN, 1))
    rig.run(1000)
    verdicts = [till.unpack_verdict(body) for kind, body in rig.serial.heard if kind == till.VERDICT]
    assert [(each.op, each.kind) for each in verdicts] == [(5, till.SERVED)]
    assert rig.of_type(record.SALE)[0].amount == 14000
    rig.serial.heard.clear()
    assert rig.serial.state(rig).op == 6


def test_lost_verdict_is_found_in_the_state():
    """Also after a power cut: the number of the last sale is more than it was."""
    for reboots in (False, True):
        rig = line()
        before = rig.serial.state(rig)
        rig.serial.ring(rig, 5, (LUNCH, 1))
        rig.serial.is_cut = True
        rig.tap(ANNA)
        # Somebody is refused behind it.
        rig.tap(STRANGER)
        rig.serial.is_cut = False
        if reboots:
            rig.reboot()
        after = rig.serial.begin(rig)
        assert (before.sale, after.sale) == (0, rig.of_type(record.SALE)[0].seq)
        assert (after.sale_time, after.op) == (MORNING, 0)


def test_cut_ahead_of_the_card_forgets_what_was_rung_up():
    for cut in ("talk", "boot"):
        rig = line()
        before = rig.serial.state(rig)
        rig.serial.ring(rig, 5, (LUNCH, 1))
        if cut == "boot":
            rig.reboot()
        after = rig.serial.begin(rig)
        assert (after.op, after.sale) == (0, before.sale)
        assert rig.tap(ANNA)[0] == "ask"


def test_sale_is_taken_back():
    rig = line()
    rig.serial.ring(rig, 5, (LUNCH, 1))
    rig.tap(ANNA)
    seq = rig.serial.verdict().seq
    for expected in (True, False):
        rig.serial.say(till.VOID, till.pack_void(seq))
        rig.run()
        kind, body = rig.serial.heard.pop()
        of, voided = till.unpack_voided(body)
        assert (kind, of, voided > 0) == (till.VOIDED, seq, expected)
    taken_back = rig.of_type(record.VOID)
    assert len(taken_back) == 1
    for _ in range(2):
        state = rig.serial.begin(rig)
        assert (state.sale, state.void) == (seq, taken_back[0].seq)
        rig.reboot()


def test_two_cards_are_told_at_once_until_there_is_one():
    rig = line()
    for code, flag in ((CARD_SEVERAL, till.SEVERAL), (READER_DEAD, 0), (OK, 0)):
        rig.controller.panel.reader("-", code)
        kind, body = rig.serial.heard.pop()
        assert kind == till.STATE
        assert till.unpack_state(body).flags & till.SEVERAL == flag
        assert rig.serial.state(rig).flags & till.SEVERAL == flag


def test_wire_that_lies_changes_nothing_and_is_counted():
    rig = line()
    rig.serial.ring(rig, 5, (LUNCH, 1))
    good = rig.serial.talk.seal(till.RING, till.pack_ring(6, ((BUN, 1),)))
    forged = bytearray(till.unframe(good[:-1]))
    forged[5] ^= 1
    rig.serial.to_line += b"\x07rubbish\0" + till.frame(forged) + b"\xff" * 500 + b"\0"
    rig.serial.to_line += rig.serial.talk.seal(till.RING, b"short")
    rig.run()
    assert rig.serial.state(rig).op == 5
    assert sum(rig.controller.refusals.values()) == 2
    assert rig.tap(ANNA)[0] == "served"
    assert rig.of_type(record.SALE)[0].amount == 14000

"""Refusal numbers and faults, one list for the device and the cloud.

A refusal is a normal answer: a small number, never reused.  Where several
apply, the first in the order of this list is the answer.  A fault is an
exception that carries a number and the thing at fault.  Leaves to others how a
person is told: no refusal number is ever shown at a gate or a till.
"""

OK = 0

# The device itself.
DEVICE_LOCKED = 10
JOURNAL_FULL = 11
FLASH_WRITE = 12
FLASH_ERASE = 13
JOURNAL_BROKEN = 14
JOURNAL_FOREIGN = 15
STORAGE_MISSING = 16
READER_DEAD = 17
READER_NOISE = 18
READER_UNTRUSTED = 19

# The tap.
REPEATED_TAP = 20
CARD_UNKNOWN = 21
CARD_BLOCKED = 22
NOTHING_ON_SALE = 23
RIGHTS_SHORT = 24
# These two go ahead of CARD_BLOCKED and of RIGHTS_SHORT: what a copy is refused for must be told.
CARD_COPY = 25
WEAK_LIMIT = 26

# The escrow counters.
AMOUNT_RANGE = 30
CAP_EXCEEDED = 31
RETURN_EXCEEDS_RIGHTS = 32
VOID_UNKNOWN = 33
GRANT_SHRINKS = 34
GRANT_UNKNOWN = 35
NOT_CAPABLE = 36
NOT_IN_MENU = 37
VOID_TWICE = 38
VOID_DIFFERS = 39
BASKET_ITEMS = 40
BASKET_TOTAL = 41

# The wire.
WIRE_LENGTH = 50
WIRE_VERSION = 51
WIRE_TOPIC = 52
WIRE_DIRECTION = 53
WIRE_DEVICE_UNKNOWN = 54
WIRE_EPOCH = 55
WIRE_MAC = 56
WIRE_INCARNATION = 57
WIRE_TYPE = 58
WIRE_BODY = 59
WIRE_STALE = 60
WIRE_NONCE = 61
WIRE_CALENDAR = 62
WIRE_CLOCK_STEP = 63
WIRE_BEFORE_TIME = 64
WIRE_EXPIRED = 65
WIRE_OLD_COMMAND = 66

# The chain of records.
CHAIN_GAP = 70
CHAIN_FORK = 71
CHAIN_BROKEN = 72
RECORD_CRC = 73
RECORD_TYPE = 74
SEQ_FUTURE = 75
RECORD_DAY = 76

# The account table.
TABLE_CHUNK = 80
TABLE_ROOT = 81
TABLE_OLD = 82
TABLE_SHAPE = 83

# The books.
UNBALANCED = 90
KEY_REUSED = 91
EMPTY_ENTRY = 92
PAYOUTS_HELD = 93

# Values given by people and files.
FIELD_RANGE = 100
BAD_CREDENTIAL = 101
BAD_MONEY = 102
BAD_ID = 103
CARD_TAKEN = 104
CARD_PROTECTED = 105
PUPIL_UNKNOWN = 106

# The card in the field.
CARD_GONE = 110
CARD_ANSWER = 111
CARD_REFUSES = 112
CARD_NOT_GENUINE = 113
CARD_REPLAYED = 114
CARD_KIND = 115
CARD_SEVERAL = 116


def names() -> dict:
    """Every number of this list with its field word, which is its constant in lower case."""
    listed = globals()
    return {listed[each]: each.lower() for each in listed if each == each.upper() and each[0] != "_"}


def name(code: int) -> str:
    """The field word of a refusal number, or `refusal_N` for one of a later version."""
    return names().get(code) or "refusal_%d" % code


class Fault(Exception):
    """Something is broken, and it has a name.

    `code`: a number of this list.  `thing`: what is at fault (a sector, a
    record, a topic, a field), as short text without personal data.
    """

    def __init__(self, code: int, thing: str, detail: str = "") -> None:
        super().__init__(code, thing, detail)
        self.code = code
        self.thing = thing
        self.detail = detail

    def __str__(self) -> str:
        text = "%s: %s" % (name(self.code), self.thing)
        return text + " (" + self.detail + ")" if self.detail else text

"""The bodies of the messages, fixed little-endian structures (LEDGER section 4).

Each message is a namedtuple with a pack_ and an unpack_ function.  An unpack_
raises Fault(WIRE_BODY) when a body is too short or too long: nothing of a body
that does not fit exactly is used.  Totals, not steps: duplicates and reordering
are harmless.  See docs/protocol.md for the flow.
"""

from collections import namedtuple

from protocols.errors import WIRE_BODY, Fault
from protocols.fields import Layout
from protocols.ledger import record
from protocols.wire.envelope import BODY_MAX

RECORDS_MAX = 20
# Where the parent's books stand, for the device to keep and to say again: u32 entries, 8 B of the last hash.
BOOKS = 12
BOOKS_UNKNOWN = bytes(BOOKS)

# Flag of Time: a person has confirmed it, so that the clock may step, and back too.
TIME_CONFIRMED = 0x01

# Kinds of Command: open the rotor for one passage (argument: a direction), show which device this is (0).
COMMAND_OPEN = 1
COMMAND_IDENTIFY = 2
DIRECTION_IN = 0
DIRECTION_OUT = 1

# Flags of Settings.
FIXED_MOMENT = 0x01
OFFLINE_AT_ONCE = 0x02

Hello = namedtuple(
    "Hello",
    (
        "next_seq",
        "acked",
        "oldest_seq",
        "head_mac",
        "boot_nonce",
        "table_version",
        "settings_version",
        "heap_free",
        "locked",
        "books",
    ),
)
Ack = namedtuple("Ack", ("next_wanted", "books"))
Recs = namedtuple("Recs", ("from_seq", "count", "previous_mac", "head_mac", "raw"))
Need = namedtuple("Need", ("number", "account", "bucket", "wanted"))
Want = namedtuple("Want", ("version", "first", "count"))
Right = namedtuple("Right", ("account", "bucket", "total"))
Manifest = namedtuple("Manifest", ("version", "rows", "size", "chunks", "root"))
Chunk = namedtuple("Chunk", ("version", "index", "data"))
Time = namedtuple("Time", ("utc", "day", "boot_nonce", "flags"))
# `expiry_ms`: milliseconds since this boot's first HELLO.
Command = namedtuple("Command", ("number", "kind", "argument", "expiry_ms", "boot_nonce"))
Answer = namedtuple("Answer", ("number", "account", "bucket", "total"))
# `meal`: 1..7 for a hot meal, which benefits and meal credit may pay, else 0.
MenuItem = namedtuple("MenuItem", ("good", "from_minute", "to_minute", "price", "meal"))
# `weak_day_minor`: the most that the weak cards of one account may spend on one line in a day; 0: no limit.
Settings = namedtuple(
    "Settings",
    (
        "version",
        "zone_minutes",
        "repeat_ms",
        "verdict_ms",
        "passage_ms",
        "flags",
        "cap",
        "first_day",
        "last_day",
        "weak_day_minor",
        "menu",
    ),
)

_HELLO = Layout(
    "hello",
    "next_seq u32, acked u32, oldest_seq u32, head_mac bytes32, boot_nonce bytes8, "
    "table_version u32, settings_version u32, heap_free u32, locked u16, books bytes12",
)
_RECS = Layout("recs", "from_seq u32, count u8, previous_mac bytes32, head_mac bytes32")
_NEED = Layout("need", "number u32, account u32, bucket u32, wanted i32")
_WANT = Layout("want", "version u32, first u16, count u8")
_ACK = Layout("ack", "next_wanted u32, books bytes12")
_LOCK = Layout("lock", "reason u16")
_RIGHT = Layout("right", "account u32, bucket u32, total i32")
_ANSWER = Layout("answer", "number u32, account u32, bucket u32, total i32")
_MANIFEST = Layout("manifest", "version u32, rows u32, size u32, chunks u16, root bytes32")
_CHUNK = Layout("chunk", "version u32, index u16")
_TIME = Layout("time", "utc u32, day u16, boot_nonce bytes8, flags u8")
_COMMAND = Layout("command", "number u32, kind u8, argument u8, expiry_ms u64, boot_nonce bytes8")
_SETTINGS = Layout(
    "settings",
    "version u32, zone_minutes i16, repeat_ms u16, verdict_ms u16, passage_ms u16, "
    "flags u8, cap i32, first_day u16, last_day u16, weak_day_minor u32, count u8",
)
_MENU_ITEM = Layout("menu item", "good u16, from_minute u16, to_minute u16, price i32, meal u8")

RIGHTS_MAX = (BODY_MAX - 1) // _RIGHT.size
MENU_MAX = (BODY_MAX - _SETTINGS.size) // _MENU_ITEM.size


def _exact(layout: Layout, body) -> tuple:
    if len(body) != layout.size:
        raise Fault(WIRE_BODY, layout.name, "%d B" % len(body))
    return layout.unpack(body)


def _counted(layout: Layout, body, offset: int, count: int) -> list:
    if len(body) != offset + count * layout.size:
        raise Fault(WIRE_BODY, layout.name, "%d B for %d" % (len(body), count))
    return [layout.unpack(body, offset + index * layout.size) for index in range(count)]


def pack_hello(hello: Hello) -> bytes:
    """Body of HELLO: where the device's journal stands and what it has applied."""
    return _HELLO.pack(*hello)


def unpack_hello(body) -> Hello:
    """Hello of a body."""
    return Hello(*_exact(_HELLO, body))


def pack_recs(recs: Recs) -> bytes:
    """Body of RECS: up to 20 records as they lie in flash, with the full MAC before and after them."""
    return _RECS.pack(recs.from_seq, recs.count, recs.previous_mac, recs.head_mac) + recs.raw


def unpack_recs(body) -> Recs:
    """Recs of a body; the records themselves are not looked at."""
    from_seq, count, previous_mac, head_mac = _RECS.unpack(body)
    if not 0 < count <= RECORDS_MAX or len(body) != _RECS.size + count * record.SIZE:
        raise Fault(WIRE_BODY, "recs", "%d B for %d" % (len(body), count))
    return Recs(from_seq, count, previous_mac, head_mac, bytes(body[_RECS.size :]))


def pack_need(need: Need) -> bytes:
    """Body of NEED: a card waits for `wanted` minor units more than the device's rights."""
    return _NEED.pack(*need)


def unpack_need(body) -> Need:
    """Need of a body."""
    return Need(*_exact(_NEED, body))


def pack_want(want: Want) -> bytes:
    """Body of WANT: chunks first..first+count-1 of a table version."""
    return _WANT.pack(*want)


def unpack_want(body) -> Want:
    """Want of a body."""
    return Want(*_exact(_WANT, body))


def pack_ack(next_wanted: int, books: bytes = BOOKS_UNKNOWN) -> bytes:
    """Body of ACK: every record before `next_wanted` is archived and committed; `books`: see BOOKS."""
    return _ACK.pack(next_wanted, books)


def unpack_ack(body) -> Ack:
    """Ack of a body."""
    return Ack(*_exact(_ACK, body))


def pack_lock(reason: int) -> bytes:
    """Body of LOCK: stop for good, for this reason (a refusal number); only a new epoch ends it."""
    return _LOCK.pack(reason)


def unpack_lock(body) -> int:
    """The reason of a body."""
    return _exact(_LOCK, body)[0]


def pack_rights(rights) -> bytes:
    """Body of GRANT (G totals) or RECALL (R targets): at most RIGHTS_MAX Right rows."""
    return bytes((len(rights),)) + b"".join(_RIGHT.pack(*right) for right in rights)


def unpack_rights(body) -> list:
    """List of Right of a GRANT or RECALL."""
    if not body:
        raise Fault(WIRE_BODY, "rights", "empty")
    return [Right(*values) for values in _counted(_RIGHT, body, 1, body[0])]


def pack_manifest(manifest: Manifest) -> bytes:
    """Body of TABLE: a table to fetch chunk by chunk."""
    return _MANIFEST.pack(*manifest)


def unpack_manifest(body) -> Manifest:
    """Manifest of a body."""
    return Manifest(*_exact(_MANIFEST, body))


def pack_chunk(chunk: Chunk) -> bytes:
    """Body of CHUNK: one piece of a table image, under the table key."""
    return _CHUNK.pack(chunk.version, chunk.index) + chunk.data


def unpack_chunk(body) -> Chunk:
    """Chunk of a body; `data` is a view of it."""
    version, index = _CHUNK.unpack(body)
    return Chunk(version, index, memoryview(body)[_CHUNK.size :])


def pack_time(time: Time) -> bytes:
    """Body of TIME: UTC seconds, the day in school time, the nonce of the boot it is for, flags."""
    return _TIME.pack(*time)


def unpack_time(body) -> Time:
    """Time of a body."""
    return Time(*_exact(_TIME, body))


def pack_command(command: Command) -> bytes:
    """Body of COMMAND: what a person wants of a device now, in this boot, until a moment."""
    return _COMMAND.pack(*command)


def unpack_command(body) -> Command:
    """Command of a body; Fault(WIRE_BODY) for a kind or an argument that there is not."""
    command = Command(*_exact(_COMMAND, body))
    arguments = {COMMAND_OPEN: (DIRECTION_IN, DIRECTION_OUT), COMMAND_IDENTIFY: (0,)}
    if command.argument not in arguments.get(command.kind, ()):
        raise Fault(WIRE_BODY, "command", "kind %d, argument %d" % (command.kind, command.argument))
    return command


def pack_answer(answer: Answer) -> bytes:
    """Body of ANSWER: the last word on a NEED; an unchanged G total means no."""
    return _ANSWER.pack(*answer)


def unpack_answer(body) -> Answer:
    """Answer of a body."""
    return Answer(*_exact(_ANSWER, body))


def pack_settings(settings: Settings) -> bytes:
    """Body of SETTINGS; at most MENU_MAX rows of menu, minutes of the local day, both included."""
    head = _SETTINGS.pack(*(settings[:10] + (len(settings.menu),)))
    return head + b"".join(_MENU_ITEM.pack(*item) for item in settings.menu)


def unpack_settings(body) -> Settings:
    """Settings of a body."""
    fields = _SETTINGS.unpack(body)
    items = _counted(_MENU_ITEM, body, _SETTINGS.size, fields[10])
    menu = tuple(MenuItem(*values) for values in items)
    version, zone_minutes, repeat_ms, verdict_ms, passage_ms, flags, cap, first_day, last_day = fields[:9]
    times = (version, zone_minutes, repeat_ms, verdict_ms, passage_ms)
    return Settings(*times, flags, cap, first_day, last_day, fields[9], menu)

"""MQTT topics (LEDGER section 4): opaque numbers only, eight hex digits each.

kk/1/<school>/<device>/up      device -> cloud
kk/1/<school>/<device>/down    cloud -> device
kk/1/<school>/<device>/tbl     chunks of the account table
kk/1/<school>/<device>/state   retained, with a last will: "1" online, "0" gone
kk/1/<school>/cloud/head       retained witness of the cloud to itself
"""

from protocols.errors import WIRE_TOPIC, Fault
from protocols.ids import hex8, parse_hex8

PREFIX = "kk/1"
UP = "up"
DOWN = "down"
TABLE = "tbl"
STATE = "state"
CLOUD_HEAD = "cloud/head"
LEAVES = (UP, DOWN, TABLE, STATE)
ONLINE = b"1"
GONE = b"0"


def topic(school: int, device: int, leaf: str) -> str:
    """The topic of one leaf of one device."""
    return "%s/%s/%s/%s" % (PREFIX, hex8(school), hex8(device), leaf)


def cloud_head(school: int) -> str:
    """The topic where a school's cloud keeps its witness."""
    return "%s/%s/%s" % (PREFIX, hex8(school), CLOUD_HEAD)


def parse_cloud_head(text: str) -> int:
    """The school of such a topic, or Fault(WIRE_TOPIC)."""
    parts = text.split("/")
    if len(parts) != 5 or parts[0] + "/" + parts[1] != PREFIX or parts[3] + "/" + parts[4] != CLOUD_HEAD:
        raise Fault(WIRE_TOPIC, text[:48])
    try:
        return parse_hex8(parts[2])
    except Fault as fault:
        raise Fault(WIRE_TOPIC, text[:48], fault.thing)  # noqa: B904


def parse(text: str) -> tuple:
    """(school, device, leaf) of a topic, or Fault(WIRE_TOPIC)."""
    parts = text.split("/")
    if len(parts) != 5 or parts[0] + "/" + parts[1] != PREFIX or parts[4] not in LEAVES:
        raise Fault(WIRE_TOPIC, text[:48])
    try:
        return parse_hex8(parts[2]), parse_hex8(parts[3]), parts[4]
    except Fault as fault:
        # MicroPython has no exception chaining: say what was wrong in the detail.
        raise Fault(WIRE_TOPIC, text[:48], fault.thing)  # noqa: B904

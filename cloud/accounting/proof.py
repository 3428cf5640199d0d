"""Whether a record in the books is the one that a device wrote: its journal's chain under its own key.

Promises: the whole journal of the device and epoch is recomputed from its first
record to the head that the device last sent, so that one changed byte anywhere
in it shows, and the first record that does not fit is named.  The key is opened
for the moment of the proof and shown to nobody.
"""

from typing import NamedTuple

from sqlalchemy import Connection

from cloud.accounting import store
from cloud.keys import Vault
from protocols.errors import Fault
from protocols.ledger import record
from protocols.mac import DeviceKeys, Hmac, equal

PART = 5000


class Proof(NamedTuple):
    """`holds`: the chain is whole from first record to head; else `broken_at` is a seq, 0 the head."""

    holds: bool
    records: int
    broken_at: int
    detail: str


def prove(conn: Connection, vault: Vault, school_id: int, device_id: int, epoch: int) -> Proof:
    """Recompute the journal of one holder as far as the cloud has it."""
    # Here and not above: devices asks the books for balances, so it imports this room.
    from cloud.devices import service as devices

    journal = store.journal(conn, school_id, device_id, epoch)
    if journal is None:
        return Proof(False, 0, 0, "no such device and epoch")
    sealed = bytes(journal.key_sealed)
    chain_key = DeviceKeys(vault.open(sealed, devices.key_context(school_id, device_id, epoch))).chain
    chain, mac = Hmac(chain_key), record.genesis(chain_key, device_id, epoch)
    last = 0
    while rows := store.journal_records(conn, school_id, device_id, epoch, last, PART):
        for seq, raw in rows:
            if seq != last + 1:
                return Proof(False, last, last + 1, f"record {last + 1} is not there")
            mac, why = _follow(chain, mac, raw)
            if why:
                return Proof(False, last, seq, f"record {seq}: {why}")
            last = seq
    if last + 1 != journal.next_seq or not equal(mac, bytes(journal.head_mac)):
        return Proof(False, last, 0, f"the chain ends at {last} with another head than the device sent")
    return Proof(True, last, 0, f"records 1 to {last} lead to the head that the device sent")


def _follow(chain: Hmac, mac: bytes, raw: bytes) -> tuple[bytes, str]:
    try:
        after = record.follow(chain, mac, raw)
    except Fault:
        return mac, "its bytes are damaged"
    return after, "" if after else "its MAC is not of this device's key and journal"

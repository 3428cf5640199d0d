"""Commands that people have asked for: sent while their device is online, given up when their time is over.

Promises: a command is sent under the nonce of the boot that is running, never
retained, and again until its record has come.  Leaves who may ask to
cloud/devices/remote.py and whether it is obeyed to the device.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection

from cloud.devices import service as devices
from cloud.ingest.fleet import Device
from cloud.ingest.outgoing import Post
from protocols.wire.messages import TIME_CONFIRMED


def send(
    conn: Connection, post: Post, known: Mapping[tuple[int, int], Device], asked: Sequence[Any], now: int
) -> None:
    """Put what is due into the post; `asked`: rows of devices.due()."""
    sent, over = [], []
    for row in asked:
        device = known.get((row.school_id, row.device_id))
        is_over = row.expires_at is not None and row.expires_at <= now
        if is_over or device is None or not device.is_open or row.epoch != device.epoch:
            over.append(row)
        elif device.online and device.boot_nonce is not None and _send(post, device, device.boot_nonce, row):
            sent.append(row)
    devices.were_sent(conn, sent, now)
    devices.give_up(conn, over, now)


def _send(post: Post, device: Device, boot_nonce: bytes, row: Any) -> bool:
    """Whether it could be said in the time of the device: a boot that was not heard of has none."""
    if row.kind not in devices.WIRE_KINDS:
        post.time(device, boot_nonce, TIME_CONFIRMED)
        return True
    booted_at = device.state.get("booted_at")
    if booted_at is None or row.expires_at <= booted_at:
        return False
    post.command(device, boot_nonce, row, booted_at)
    return True

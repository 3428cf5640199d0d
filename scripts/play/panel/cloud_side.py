"""What the cloud tells the panel of a demo: who there is, and what became of one record.

It promises that a cloud that is down, slow or restarting is an empty answer and never an exception. It asks
with the demo's own token, which the cloud knows in a demo only.
"""

import http.client
import json
import threading
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from protocols.ledger.record import PASS, PASS_TURNED, SALE, TYPES

TIMEOUT_S = 3.0
SENT = "sent"
# Records that a parent is told of: kind and, of a passage, its stage.
TOLD = {(TYPES[SALE], 0), (TYPES[PASS], PASS_TURNED)}


@dataclass(frozen=True)
class Named:
    """One pupil of the list: the account's eight hex digits, the name and the class."""

    account: str
    name: str
    class_name: str


@dataclass(frozen=True)
class Seen:
    """One record in the cloud. `is_told`: parents hear of it; `messages`: texts that have left."""

    entries: list[dict[str, Any]]
    is_told: bool
    messages: list[str]
    is_sent: bool


class CloudSide:
    """Asks the cloud's demo pages; may be used from many threads, each has its own connection."""

    def __init__(self, host: str, port: int, token: str, devices: dict[str, tuple[str, int]]):
        """`devices`: label to the eight hex digits of the device and its epoch."""
        self._address = (host, port)
        self._token = token
        self._devices = devices
        self._local = threading.local()

    def pupils(self) -> list[Named]:
        """Everybody of the school by class and name; empty when the cloud does not answer."""
        rows = self._get("/demo/pupils") or []
        return [Named(row["account"], row["name"], row["class"]) for row in rows]

    def trace(self, device: str, seq: int) -> Seen | None:
        """What became of a record, or None while the cloud does not know it."""
        number, epoch = self._devices[device]
        found = self._get("/demo/trace?" + urlencode({"device": number, "epoch": epoch, "seq": seq}))
        if not found or not found["record_known"]:
            return None
        record, messages = found["record"], found["messages"]
        key = (record["kind"], record["stage"])
        return Seen(
            entries=found["entries"],
            is_told=key in TOLD,
            messages=[message["text"] for message in messages if message["state"] == SENT],
            is_sent=bool(messages) and all(message["state"] == SENT for message in messages),
        )

    def _get(self, path: str) -> Any:
        """The JSON of a page, or None; one more try on a connection that the cloud has closed meanwhile."""
        for _ in range(2):
            connection = getattr(self._local, "connection", None)
            if connection is None:
                connection = http.client.HTTPConnection(*self._address, timeout=TIMEOUT_S)
                self._local.connection = connection
            try:
                connection.request("GET", path, headers={"X-Demo-Token": self._token})
                answer = connection.getresponse()
                body = answer.read()
            except (OSError, http.client.HTTPException):
                connection.close()
                self._local.connection = None
                continue
            try:
                return json.loads(body) if answer.status == http.client.OK else None
            except ValueError:
                return None
        return None

"""A desk in pieces for its tests: keys of a school, cards without a reader, a cloud by the contract."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from protocols.errors import CARD_GONE, Fault
from reader_host.desk.keys import DeskKeys
from reader_host.desk.roster import EMPTY
from reader_host.desk.seal import Seal
from reader_host.desk.store import Store
from reader_host.desk.work import Work
from reader_host.pcsc.station import Card
from tests.protocols.card.virtual_desfire import VirtualDesfire
from tests.protocols.card.virtual_ntag import VirtualNtag

NOW = 1_788_246_000
TOKEN = "token-of-the-desk"
UID = bytes.fromhex("04C767F2066180")
MASTER = "5A%02X" * 8
PUPILS = (
    ("s1", "Котова Мария", "2Б"),
    ("s2", "Королёв Иван", "2Б"),
    ("s3", "Яшин Лев", "2Б"),
    ("s4", "Давыдов Роман", "10А"),
)


def keys_text(roles: range = range(6), **more: str) -> str:
    """The file that the cloud writes for a desk."""
    masters = [{"role": role, "version": 1, "key": (MASTER % ((role,) * 8))} for role in roles]
    return json.dumps({"school": "0badcafe", "masters": masters, "reference_key": "c3" * 32, **more})


class Random:
    """Bytes that never repeat and are the same in each run."""

    def __init__(self) -> None:
        self._count = 0

    def __call__(self, size: int) -> bytes:
        self._count += 1
        return self._count.to_bytes(size, "big")


def desfire(uid: bytes = UID, *, is_ev1: bool = False) -> VirtualDesfire:
    """A card from the factory."""
    return VirtualDesfire(uid, Random(), is_ev1)


def ntag(uid: bytes = UID) -> VirtualNtag:
    """A tag from the factory."""
    return VirtualNtag(uid, Random())


def laid(card: Any, apdus_left: int | None = None) -> Card:
    """The card on a reader that loses it after so many APDUs; a new field each time."""
    left = apdus_left
    card.reset()

    def exchange(apdu: bytes) -> bytes:
        nonlocal left
        if left == 0:
            card.reset()
            raise Fault(CARD_GONE, "card")
        if left is not None:
            left -= 1
        if apdu == b"\xff\xca\x00\x00\x00":
            return bytes(card.uid) + b"\x90\x00"
        return bytes(card.apdu(apdu))

    return Card(exchange)


class Parts:
    """Work over a folder, as after a start of the program; make it anew to start again."""

    def __init__(self, folder: Path, text: str = "", random_bytes: Any = None) -> None:
        self.seal = Seal(folder)
        self.keys = DeskKeys(text or keys_text())
        self.store = Store(folder, self.seal)
        self.random_bytes = random_bytes or Random()
        self.roster = EMPTY
        self.work = Work(
            self.keys, self.store, now=lambda: NOW, random_bytes=self.random_bytes, roster=lambda: self.roster
        )


class FakeCloud:
    """The desk's part of the cloud: keeps what it accepted by op_id, and refuses whom it does not know."""

    def __init__(self) -> None:
        self.accepted: dict[str, dict[str, Any]] = {}
        self.received: list[dict[str, Any]] = []
        self.refusals: dict[str, tuple[int, str]] = {}
        self.headers: list[str] = []
        self.cards: list[dict[str, Any]] = []
        self.tag = ""
        self.not_modified = 0
        self.loses_answers = 0
        self._server: ThreadingHTTPServer | None = None
        self.port = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Listen, on the same port as before."""
        cloud = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_values: Any) -> None:
                """Nothing."""

            def do_GET(self) -> None:
                cloud.answer(self, None)

            def do_POST(self) -> None:
                size = int(self.headers["Content-Length"])
                cloud.answer(self, json.loads(self.rfile.read(size)))

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Be away."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def answer(self, request: BaseHTTPRequestHandler, body: Any) -> None:
        """One request."""
        self.headers.append(request.headers.get("Authorization", ""))
        if request.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._say(request, 401, {})
        elif body is None and self.tag and request.headers.get("If-None-Match") == self.tag:
            self.not_modified += 1
            request.send_response(304)
            request.end_headers()
        elif body is None:
            pupils = [{"student": s, "name": n, "class": c, "cards": 0} for s, n, c in PUPILS]
            self._say(request, 200, {"pupils": pupils, "cards": self.cards})
        else:
            results = [self._take(each) for each in body["operations"]]
            if self.loses_answers:
                self.loses_answers -= 1
                request.close_connection = True
                return
            self._say(request, 200, {"results": results})

    def _take(self, operation: dict[str, Any]) -> dict[str, Any]:
        self.received.append(operation)
        if operation["op_id"] in self.refusals:
            number, text = self.refusals[operation["op_id"]]
            return {"op_id": operation["op_id"], "result": "refused", "number": number, "text": text}
        self.accepted.setdefault(operation["op_id"], operation)
        return {"op_id": operation["op_id"], "result": "accepted"}

    def _say(self, request: BaseHTTPRequestHandler, status: int, told: Any) -> None:
        text = json.dumps(told).encode()
        request.send_response(status)
        request.send_header("Content-Length", str(len(text)))
        if self.tag:
            request.send_header("ETag", self.tag)
        request.end_headers()
        request.wfile.write(text)

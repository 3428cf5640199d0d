"""The desk's way to the cloud: what was done goes there, in its order, and the list of pupils comes back.

Promises: each operation is sent with the op_id it was written down with until the cloud has answered, so a
desk that was killed, or an answer that was lost, does nothing twice; the token goes over TLS or over loopback
only and stands in no message; a cloud that is away is a state with its time, never an exception.
"""

from __future__ import annotations

import http.client
import json
import ssl
import threading
from collections.abc import Callable
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from reader_host.desk import roster as rosters
from reader_host.desk import store
from reader_host.desk.roster import BadRoster, Roster
from reader_host.desk.seal import Seal
from reader_host.desk.store import BLOCK, GIVING, REPLACE, Operation, Store

OPERATIONS_PATH = "/api/desk/cards"
ROSTER_PATH = "/api/desk/roster"
BATCH = 50
REPORTS = 5
"""At most so many reports of lost cards in one request."""
_TIMEOUT_S = 10.0
_ANSWER_MAX = 8 * 1024 * 1024
_WAIT_S = (2, 5, 10, 30)
_ROSTER_EVERY_S = 600
_NOT_MODIFIED = 304
_LATER = (408, 429, 500, 502, 503, 504)
_LOOPBACK = ("127.0.0.1", "localhost", "::1")

UNREACHABLE, NOT_LET_IN, BAD_ANSWER = "unreachable", "not_let_in", "bad_answer"


class BadAddress(Exception):
    """The address of the cloud is none, or would carry the token in clear."""


class CloudProblem(Exception):
    """The cloud did not do it; `reason` is UNREACHABLE, NOT_LET_IN or BAD_ANSWER."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Answer(NamedTuple):
    """What the cloud says to one operation; `number` and `text` of a refusal."""

    op_id: str
    is_accepted: bool
    number: int
    text: str


class Link(NamedTuple):
    """How the way to the cloud is: `problem` is empty while it answers; `since`: UTC seconds."""

    problem: str
    since: int


class Cloud:
    """Requests of one desk to one cloud."""

    def __init__(self, url: str, token: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise BadAddress(f"{url}: not an address")
        if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
            raise BadAddress(f"{url}: must begin with https://")
        self._parts = parts
        self._token = token

    def __repr__(self) -> str:
        return f"Cloud({self._parts.hostname})"

    def send(self, operations: list[dict[str, Any]]) -> list[Answer]:
        """Hand operations over; an answer for each of them, or CloudProblem."""
        told, _tag = self._ask("POST", OPERATIONS_PATH, {"operations": operations})
        try:
            answers = [
                Answer(str(each["op_id"]), each["result"] == "accepted", int(each.get("number") or 0),
                       str(each.get("text") or ""))
                for each in told["results"]
            ]  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise CloudProblem(BAD_ANSWER) from error
        wanted = {each["op_id"] for each in operations}
        return [each for each in answers if each.op_id in wanted]

    def roster(self, at: int, before: Roster = rosters.EMPTY) -> Roster:
        """All pupils and cards of the school, or CloudProblem; `before` again where nothing has changed."""
        told, tag = self._ask("GET", ROSTER_PATH, tag=before.tag)
        if told is None:
            return before._replace(at=at)
        try:
            return rosters.parse(told, at, tag)
        except BadRoster as error:
            raise CloudProblem(BAD_ANSWER) from error

    def _ask(self, method: str, path: str, body: Any = None, tag: str = "") -> tuple[Any, str]:
        """(what the cloud says, its tag); (None, tag) where it still says what it said under `tag`."""
        host, port = self._parts.hostname or "", self._parts.port
        connection: http.client.HTTPConnection
        if self._parts.scheme == "https":
            context = ssl.create_default_context()
            connection = http.client.HTTPSConnection(host, port, timeout=_TIMEOUT_S, context=context)
        else:
            connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_S)
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        if tag:
            headers["If-None-Match"] = tag
        try:
            text = None if body is None else json.dumps(body)
            connection.request(method, self._parts.path.rstrip("/") + path, text, headers)
            answer = connection.getresponse()
            told = answer.read(_ANSWER_MAX)
        except (OSError, http.client.HTTPException) as error:
            raise CloudProblem(UNREACHABLE) from error
        finally:
            connection.close()
        if answer.status in (401, 403):
            raise CloudProblem(NOT_LET_IN)
        if answer.status == _NOT_MODIFIED and tag:
            return None, tag
        if answer.status != 200:
            raise CloudProblem(UNREACHABLE if answer.status in _LATER else BAD_ANSWER)
        try:
            return json.loads(told), answer.headers.get("ETag", "")
        except ValueError as error:
            raise CloudProblem(BAD_ANSWER) from error


def _batch(ready: list[Operation]) -> list[Operation]:
    """As many from the first on as the cloud answers in time: it tells all devices of each report."""
    reports = [place for place, each in enumerate(ready) if each.op in (BLOCK, REPLACE)]
    return ready[: reports[REPORTS]] if len(reports) > REPORTS else ready


def wire(operation: Operation, secret: store.Secret) -> dict[str, Any]:
    """An operation as the cloud reads it; `uid` is the bare number of a card that proves itself."""
    return {
        "op": operation.op,
        "op_id": operation.op_id,
        "student": operation.student,
        "credential": secret.credential or None,
        "ref": operation.card_ref[:16] if operation.op == BLOCK else None,
        "uid": secret.uid if secret.uid != secret.credential else None,
        "kind": operation.kind if operation.op in GIVING else None,
        "until": operation.until or None if operation.op in GIVING else None,
        "key_version": operation.key_version,
        "at": operation.at,
        "lost_at": operation.lost_at,
    }


class Sender:
    """Sends what is ready; `run()` in a thread of its own, `wake()` from any."""

    def __init__(
        self,
        cloud: Cloud | None,
        kept: Store,
        seal: Seal,
        *,
        now: Callable[[], int],
        roster_days: int,
    ) -> None:
        self._cloud = cloud
        self._store = kept
        self._seal = seal
        self._now = now
        self._roster_days = roster_days
        self._woken = threading.Event()
        self._stopping = threading.Event()
        self._link = Link("" if cloud else UNREACHABLE, now())
        self._roster = rosters.kept(seal, now(), roster_days)
        self.changed: Callable[[], None] = lambda: None
        """Called when a page has something new to show."""

    def link(self) -> Link:
        """How the way is."""
        return self._link

    def roster(self) -> Roster:
        """The pupils; empty when nobody told, or too long ago."""
        if self._roster.pupils and self._now() - self._roster.at > self._roster_days * 86400:
            self._seal.forget(rosters.FILE)
            self._roster = rosters.EMPTY
        return self._roster

    def wake(self) -> None:
        """Something is ready."""
        self._woken.set()

    def stop(self) -> None:
        """Let run() end."""
        self._stopping.set()
        self._woken.set()

    def run(self) -> None:
        """Send and fetch until stop()."""
        tries = 0
        while not self._stopping.is_set():
            self._woken.clear()
            tries = 0 if self.turn() else min(tries + 1, len(_WAIT_S) - 1)
            self._woken.wait(_WAIT_S[tries] if self._cloud else None)

    def turn(self) -> bool:
        """Send everything that is ready, and fetch the pupils when it is time; False: the cloud is away."""
        if self._cloud is None:
            return False
        try:
            while self._send(self._cloud):
                pass
            if self._now() - self._roster.at >= _ROSTER_EVERY_S or not self._roster.pupils:
                self._fetch(self._cloud)
        except CloudProblem as problem:
            self._set_link(problem.reason)
            return False
        self._set_link("")
        return True

    def _fetch(self, cloud: Cloud) -> None:
        """A new list.  What was accepted before it was asked for stands in it."""
        told = self._store.unsettled()
        self._roster = cloud.roster(self._now(), self._roster)
        rosters.keep(self._seal, self._roster)
        self._store.settle(each.number for each in told)
        self.changed()

    def _send(self, cloud: Cloud) -> bool:
        """One batch; whether there may be more."""
        ready = _batch(self._store.in_state(store.READY, BATCH))
        if not ready:
            return False
        answers = cloud.send([wire(each, self._store.secret(each.op_id)) for each in ready])
        if not answers:
            raise CloudProblem(BAD_ANSWER)
        for answer in answers:
            if answer.is_accepted:
                self._store.set_state(answer.op_id, store.ACCEPTED)
            else:
                self._store.set_state(
                    answer.op_id, store.REFUSED, refusal=answer.number, reason=answer.text[:200]
                )
        self.changed()
        return True

    def _set_link(self, problem: str) -> None:
        if problem != self._link.problem:
            self._link = Link(problem, self._now())
            self.changed()

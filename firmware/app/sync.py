"""Sync with the parent over a link that may lose, double, delay and forge (LEDGER section 4).

Promises: nothing of a message is parsed before its MAC, topic, epoch and
incarnation are right; a bad one is counted by its refusal number, changes
nothing, and the connection goes on; records are sent from where the parent says
it stands, at most two messages ahead, and again until it acknowledges them; no
turn waits.  The only receipt is the parent's ACK, never the broker's.
"""

from firmware.app.accounts import Fetch, check_newer
from firmware.app.commands import Commands
from firmware.app.controller import heap_free
from firmware.app.timekeeper import Timekeeper
from protocols.errors import (
    SEQ_FUTURE,
    STORAGE_MISSING,
    TABLE_CHUNK,
    WIRE_EPOCH,
    WIRE_INCARNATION,
    WIRE_TOPIC,
    WIRE_TYPE,
    Fault,
)
from protocols.ledger import record
from protocols.wire import envelope, messages, topics

_MESSAGES_PER_TURN = 8
_FLIGHT_MAX = 2
_ANSWER_MS = 2000
_ANSWER_LAST_MS = 16000
# Tries without an answer after which the parent is asked anew where it stands.
_TRIES_MAX = 3
_NEED_MS = 700
_IDLE_MS = 1000


class Sync:
    """The task that talks.  `synced`: the parent has said in this session where it stands."""

    def __init__(self, controller) -> None:
        provision = controller.provision
        self._controller = controller
        self._link = controller.board.link
        self._clock = controller.clock
        self._keys = controller.keys
        self._school = provision.school
        self._device = provision.device
        self._epoch = provision.epoch
        self._up = topics.topic(self._school, self._device, topics.UP)
        self._down = topics.topic(self._school, self._device, topics.DOWN)
        self._table = topics.topic(self._school, self._device, topics.TABLE)
        self._timekeeper = Timekeeper(controller)
        self._commands = Commands(controller, self._timekeeper)
        self._counter = 0
        self._connection = 0
        self._fetch: Fetch | None = None
        self._sent = False
        self.synced = False
        self._handlers = {
            envelope.ACK: self._on_ack,
            envelope.GRANT: self._on_grant,
            envelope.RECALL: self._on_recall,
            envelope.ANSWER: self._on_answer,
            envelope.TABLE: self._on_table,
            envelope.CHUNK: self._on_chunk,
            envelope.SETTINGS: self._on_settings,
            envelope.LOCK: self._on_lock,
            envelope.COMMAND: self._commands.take,
        }
        self._start_session()

    def _start_session(self) -> None:
        self.synced = False
        # The next ACK may send us back: the first after HELLO, the first of a newer parent.
        self._may_rewind = True
        # (first seq, seq after the last, uptime when sent), oldest first.
        self._flight = []
        self._wanted = self._next_send = 1
        self._tries = 0
        self._asked_at = None
        self._need_sent = None
        self._need_at = 0
        if self._fetch is not None:
            self._fetch.ask_again()

    def step(self) -> int:
        """One turn: the link, what came in, what is to go out."""
        wait = self._link.step()
        self._commands.pass_time()
        for _ in range(_MESSAGES_PER_TURN):
            message = self._link.receive()
            if message is None:
                break
            self._take(message[0], message[1])
            wait = 0
        if self._fetch is not None and self._fetch.is_checking:
            self._check_fetched(self._fetch)
            wait = 0
        if self._link.online:
            if self._link.connection != self._connection:
                self._connection = self._link.connection
                self._start_session()
            wait = min(wait, self._talk(self._clock.uptime()))
            if self._sent:
                self._sent = False
                wait = min(wait, self._link.step())
        return wait

    # Out

    def _talk(self, now: int) -> int:
        """Send what is due; the milliseconds until something may be due again."""
        wait = min(_IDLE_MS, self._say_hello(now))
        if self.synced:
            wait = min(wait, self._send_records(now))
        wait = min(wait, self._send_need(now))
        if self._fetch is not None:
            want = self._fetch.want()
            if want is not None:
                self._publish(envelope.WANT, messages.pack_want(want))
        return wait

    def _publish(self, kind: int, body: bytes) -> bool:
        state = self._controller.state
        self._counter = (self._counter + 1) & 0xFFFFFFFF
        parent = (state.incarnation, state.incarnation_id)
        head = envelope.Head(kind, self._school, self._device, self._epoch, *parent, self._counter)
        if not self._link.publish(self._up, envelope.seal(self._keys.up, head, body)):
            return False
        self._sent = True
        return True

    def _answer_ms(self) -> int:
        """How long an answer is waited for before the next try."""
        return min(_ANSWER_LAST_MS, _ANSWER_MS << min(self._tries, 4))

    def _say_hello(self, now: int) -> int:
        if self.synced:
            return _IDLE_MS
        if self._asked_at is not None:
            left = self._answer_ms() - self._clock.uptime_elapsed(now, self._asked_at)
            if left > 0:
                return left
            self._tries += 1
        controller, journal = self._controller, self._controller.journal
        hello = messages.Hello(
            journal.next_seq,
            journal.acked,
            journal.oldest_seq,
            journal.head_mac or bytes(32),
            controller.boot_nonce,
            controller.accounts.version,
            controller.settings.current.version,
            heap_free(),
            controller.locked,
            controller.state.books,
        )
        if self._publish(envelope.HELLO, messages.pack_hello(hello)):
            self._commands.said_hello()
        self._asked_at = now
        return self._answer_ms()

    def _send_records(self, now: int) -> int:
        if self._flight:
            left = self._answer_ms() - self._clock.uptime_elapsed(now, self._flight[0][2])
            if left <= 0:
                # Nobody answered: from where the parent stands, again.
                self._tries += 1
                self._flight = []
                self._next_send = self._wanted
                if self._tries >= _TRIES_MAX:
                    # What it says may be older than what it said: ask where it stands.
                    self._ask_again()
                    return 0
        journal = self._controller.journal
        if not self._controller.readable:
            return _IDLE_MS
        while len(self._flight) < _FLIGHT_MAX and self._next_send < journal.next_seq:
            first = max(self._next_send, journal.oldest_seq)
            try:
                previous, raw, head_mac = journal.read(first, messages.RECORDS_MAX)
            except Fault as fault:
                self._controller.lock(fault)
                # The parent shall know why nothing comes any more.
                self._start_session()
                return 0
            count = len(raw) // record.SIZE
            body = messages.pack_recs(messages.Recs(first, count, previous, head_mac, raw))
            if not count or not self._publish(envelope.RECS, body):
                return _IDLE_MS
            self._next_send = first + count
            self._flight.append((first, first + count, now))
        if not self._flight:
            return _IDLE_MS
        return max(0, self._answer_ms() - self._clock.uptime_elapsed(now, self._flight[0][2]))

    def _ask_again(self) -> None:
        """Say HELLO again, at the pace of all tries."""
        self.synced = False
        self._may_rewind = True
        self._asked_at = None

    def _send_need(self, now: int) -> int:
        need = self._controller.need
        if need is None:
            return _IDLE_MS
        if need is self._need_sent:
            left = _NEED_MS - self._clock.uptime_elapsed(now, self._need_at)
            if left > 0:
                return left
        if self._publish(envelope.NEED, messages.pack_need(need)):
            self._need_sent = need
            self._need_at = now
        return _NEED_MS

    # In

    def _take(self, topic: str, payload: bytes) -> None:
        try:
            message = self._open(topic, payload)
            head = message.head
            self._check_incarnation(head)
            if head.type == envelope.ACK:
                # First of all: only an acknowledgement makes room in a full journal.
                is_newer = head.incarnation > self._controller.state.incarnation
                self._on_ack(message.body, is_newer)
                self._follow_incarnation(head)
            else:
                if self._follow_incarnation(head):
                    self._forget_acked()
                if head.type == envelope.TIME:
                    self._timekeeper.take(head, message.body)
                else:
                    self._handlers[head.type](message.body)
        except Fault as fault:
            self._controller.refused(fault)
        except OSError as error:
            self._controller.refused(Fault(STORAGE_MISSING, "storage %s" % error.errno))

    def _open(self, topic: str, payload: bytes):
        """The checked Envelope of a message, or a Fault of the wire."""
        if topic not in (self._down, self._table):
            raise Fault(WIRE_TOPIC, "topic")
        is_table = topic == self._table
        head = envelope.peek(payload, envelope.TO_DEVICE)
        if is_table != (head.type == envelope.CHUNK):
            raise Fault(WIRE_TOPIC, "type %d" % head.type)
        key = self._keys.table if is_table else self._keys.down
        message = envelope.open_envelope(key, head, payload, self._school, self._device)
        if head.epoch != self._epoch:
            raise Fault(WIRE_EPOCH, "epoch %d" % head.epoch)
        if head.type not in self._handlers and head.type != envelope.TIME:
            raise Fault(WIRE_TYPE, "type %d" % head.type)
        return message

    def _check_incarnation(self, head) -> None:
        """Refuse an older parent, and a second one under the same number."""
        state = self._controller.state
        own = (state.incarnation, state.incarnation_id)
        if head.incarnation <= state.incarnation and (head.incarnation, head.incarnation_id) != own:
            raise Fault(WIRE_INCARNATION, "incarnation %d" % head.incarnation)

    def _follow_incarnation(self, head) -> bool:
        """A newer parent is written down before it is obeyed; True when it is one."""
        if head.incarnation <= self._controller.state.incarnation:
            return False
        self._controller.write(record.INCARN, 0, account=head.incarnation_id, aux=head.incarnation)
        # A table on its way is of the parent before: what it places, this one may not know.
        self._give_up_fetch()
        return True

    def _forget_acked(self) -> None:
        """A newer parent has not said yet where it stands: what an earlier one held, it may not hold."""
        journal = self._controller.journal
        journal.acked = journal.oldest_seq
        if self.synced:
            self._ask_again()

    def _on_ack(self, body: bytes, is_newer: bool) -> None:
        ack = messages.unpack_ack(body)
        controller, journal = self._controller, self._controller.journal
        if controller.state.locked:
            self._on_ack_locked(ack.next_wanted)
            return
        if ack.next_wanted > journal.next_seq:
            # It holds records that this journal does not have: an older copy of itself is running here.
            self._ask_again()
            controller.lock_for_good(SEQ_FUTURE)
            raise Fault(SEQ_FUTURE, "ack %d" % ack.next_wanted, "head %d" % journal.next_seq)
        if ack.next_wanted < self._wanted and not (is_newer or self._may_rewind):
            # An old one that came late.
            return
        if is_newer or self._may_rewind:
            # A parent that was restored holds less than it once acknowledged: keep all that it lacks.
            journal.acked = max(journal.oldest_seq, min(journal.acked, ack.next_wanted))
        journal.acknowledge(ack.next_wanted)
        controller.state.books = bytes(ack.books)
        if ack.next_wanted < journal.oldest_seq:
            self._wait_for_a_person()
            return
        self._go_on_from(ack.next_wanted)

    def _wait_for_a_person(self) -> None:
        """What the parent lacks is overwritten here: HELLO says where this journal begins."""
        if self.synced:
            self._flight = []
            self._ask_again()

    def _go_on_from(self, next_wanted: int) -> None:
        self.synced = True
        self._may_rewind = False
        self._tries = 0
        self._wanted = next_wanted
        flight = [sent for sent in self._flight if sent[1] > next_wanted]
        if not flight or next_wanted < flight[0][0]:
            # All has arrived, or the parent stands before what is on its way: go on from there.
            flight = []
            self._next_send = next_wanted
        self._flight = flight

    def _on_ack_locked(self, next_wanted: int) -> None:
        """A locked board hands its whole journal over once in a session; each ACK names one message's end."""
        journal = self._controller.journal
        if not self.synced:
            self._flight = []
            self._go_on_from(max(journal.oldest_seq, min(next_wanted, journal.next_seq)))
            return
        flight = [sent for sent in self._flight if sent[1] != next_wanted]
        if len(flight) < len(self._flight):
            self._tries = 0
        self._flight = flight
        self._wanted = flight[0][0] if flight else self._next_send

    def _on_lock(self, body: bytes) -> None:
        reason = messages.unpack_lock(body)
        if not self._controller.state.locked:
            self._ask_again()
            self._controller.lock_for_good(reason)

    def _on_grant(self, body: bytes) -> None:
        for right in messages.unpack_rights(body):
            self._controller.grant(right.account, right.bucket, right.total)

    def _on_recall(self, body: bytes) -> None:
        for right in messages.unpack_rights(body):
            self._controller.give_back(right.account, right.bucket, right.total)

    def _on_answer(self, body: bytes) -> None:
        answer = messages.unpack_answer(body)
        self._controller.grant(answer.account, answer.bucket, answer.total)
        self._controller.answered(answer.number)

    def _on_settings(self, body: bytes) -> None:
        self._controller.take_settings(bytes(body), messages.unpack_settings(body))

    # The account table

    def _on_table(self, body: bytes) -> None:
        manifest = messages.unpack_manifest(body)
        controller = self._controller
        check_newer(manifest.version, controller.state.table_version)
        if manifest.version == controller.accounts.version:
            return
        if self._fetch is not None:
            if self._fetch.manifest == manifest:
                return
            check_newer(manifest.version, self._fetch.manifest.version)
            self._give_up_fetch()
        self._fetch = Fetch(controller.board.storage, self._clock, manifest)

    def _on_chunk(self, body: bytes) -> None:
        chunk = messages.unpack_chunk(body)
        if self._fetch is None:
            raise Fault(TABLE_CHUNK, "chunk %d" % chunk.index, "nothing asked for")
        self._fetch.take(chunk)

    def _check_fetched(self, fetch) -> None:
        controller = self._controller
        try:
            if not fetch.step():
                return
            self._fetch = None
            controller.accounts.swap(controller.state.table_version)
            controller.applied(record.TABLE_ACCOUNTS, controller.accounts.version)
        except Fault as fault:
            controller.refused(fault)
            if fetch.has_failed:
                self._fetch = None
                controller.gave_up(fetch.manifest.version, fault.code)
        except OSError as error:
            controller.refused(Fault(STORAGE_MISSING, "accounts %s" % error.errno))
            self._give_up_fetch()
            controller.gave_up(fetch.manifest.version, STORAGE_MISSING)

    def _give_up_fetch(self) -> None:
        """Forget the fetch first: on a full storage closing its file fails, and then it takes no chunk."""
        fetch, self._fetch = self._fetch, None
        if fetch is not None:
            fetch.close()

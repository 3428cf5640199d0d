"""The account table on littlefs, and fetching a newer one piece by piece.

Promises: no object of the table's size is ever in RAM; a new table is looked at
only when all of it lies in storage and its root is right; it is swapped in at
once; an older one than was ever applied is refused.  Pieces are asked for eight
at a time and taken in order: a lost one is asked for again.
"""

import hashlib
from collections import namedtuple

from protocols.errors import (
    CARD_BLOCKED,
    CARD_COPY,
    CARD_UNKNOWN,
    OK,
    STORAGE_MISSING,
    TABLE_CHUNK,
    TABLE_OLD,
    TABLE_ROOT,
    TABLE_SHAPE,
    Fault,
)
from protocols.ledger import record
from protocols.mac import equal
from protocols.wire import table
from protocols.wire.messages import Want

_NAME = "accounts"
_NEW = "accounts.new"
# What the storage can hold beside the table in use: 16,384 slots, about 12,000 cards.
SIZE_MAX = 32 + 16384 * 20
_CHUNKS_PER_WANT = 8
_RETRY_MS = 2000
# A table whose root is wrong is fetched again so often, then the next manifest is waited for.
_TRIES = 3

# Who tapped: `reference` 8 bytes, `bits` its first four as in a record, `row` of the table or None,
# `account` or 0, `refusal` OK, CARD_UNKNOWN, CARD_COPY or CARD_BLOCKED.
Identity = namedtuple("Identity", ("reference", "bits", "row", "account", "refusal"))


class Accounts:
    """The table in use.  `version` is 0 while there is none."""

    def __init__(self, storage) -> None:
        self._storage = storage
        self._file = None
        self._table = None
        self.version = 0

    def open(self, version_min: int) -> None:
        """Use the stored table unless it is older than `version_min`, the highest ever applied."""
        self.close()
        if not self._storage.exists(_NAME):
            return
        self._file = self._storage.open(_NAME, "rb")
        try:
            found = table.Table(self._file)
        except Fault:
            # Bit rot in the header: the parent sends the table again.
            self.close()
            return
        if found.version < version_min:
            self.close()
            return
        self._table = found
        self.version = found.version

    def close(self) -> None:
        """Let go of the file."""
        if self._file is not None:
            self._file.close()
        self._file = None
        self._table = None
        self.version = 0

    def find(self, reference):
        """The Row of a card reference (8 bytes), or None; Fault(STORAGE_MISSING) when it cannot be read."""
        if self._table is None:
            return None
        try:
            return self._table.find(reference)
        except OSError as error:
            raise Fault(STORAGE_MISSING, "accounts", str(error.errno))  # noqa: B904

    def identify(self, reference) -> Identity:
        """Who has the card of a reference, and whether it may be served."""
        row = self.find(reference)
        bits = record.tap_aux(reference)
        if row is None:
            return Identity(reference, bits, None, 0, CARD_UNKNOWN)
        if row.flags & table.COPY:
            # Whether it is blocked too or not: somebody must hear of the copy.
            return Identity(reference, bits, row, row.account, CARD_COPY)
        return Identity(reference, bits, row, row.account, CARD_BLOCKED if row.flags & table.BLOCKED else OK)

    @property
    def credit_total(self) -> int:
        """The G total of meal credit that the table places with each row of the flag CREDIT."""
        return self._table.credit_total if self._table is not None else 0

    @property
    def base_day(self) -> int:
        """The day that the table was made for, 0 while there is none."""
        return self._table.base_day if self._table is not None else 0

    def has_benefit(self, row, day: int, meal: int) -> bool:
        """Whether the table has placed the benefit of a day and meal with this row of it."""
        return self._table is not None and table.has_benefit(row, self._table.base_day, day, meal)

    def swap(self, version_min: int) -> None:
        """Put the fetched table in place and use it; a full storage keeps the old one in use."""
        self.close()
        try:
            self._storage.replace(_NEW, _NAME)
        finally:
            self.open(version_min)


class Fetch:
    """One table on its way: chunks in order into a new file, then its root, a small turn at a time.

    `step(now)` returns True when the new file is complete and checked.
    """

    def __init__(self, storage, clock, manifest) -> None:
        chunks = table.chunk_count(manifest.size)
        if manifest.size > SIZE_MAX or manifest.chunks != chunks or not chunks:
            raise Fault(TABLE_SHAPE, "manifest", "%d B" % manifest.size)
        self.manifest = manifest
        self._storage = storage
        self._clock = clock
        self._tries = 0
        self._restart()

    def _restart(self) -> None:
        self._tries += 1
        self._next = 0
        self._asked_until = 0
        self._asked_at = 0
        self._digest = None
        self._file = self._storage.open(_NEW, "wb")

    def close(self) -> None:
        """Give up."""
        self._file.close()

    def want(self):
        """The Want to send now, or None."""
        if self._digest is not None or self._next >= self.manifest.chunks:
            return None
        now = self._clock.uptime()
        if self._next < self._asked_until and self._clock.uptime_elapsed(now, self._asked_at) < _RETRY_MS:
            return None
        count = min(_CHUNKS_PER_WANT, self.manifest.chunks - self._next)
        self._asked_until = self._next + count
        self._asked_at = now
        return Want(self.manifest.version, self._next, count)

    def ask_again(self) -> None:
        """What was asked for is lost: the link was away."""
        self._asked_until = self._next

    def take(self, chunk) -> None:
        """Write one chunk; Fault(TABLE_CHUNK) when it is not of this table."""
        manifest = self.manifest
        if chunk.version != manifest.version or chunk.index >= manifest.chunks:
            raise Fault(TABLE_CHUNK, "chunk %d" % chunk.index, "version %d" % chunk.version)
        expected = min(table.CHUNK, manifest.size - chunk.index * table.CHUNK)
        if len(chunk.data) != expected:
            raise Fault(TABLE_CHUNK, "chunk %d" % chunk.index, "%d B" % len(chunk.data))
        if chunk.index != self._next:
            return
        self._file.write(chunk.data)
        self._next += 1
        self._asked_at = self._clock.uptime()

    @property
    def is_checking(self) -> bool:
        """Whether all chunks are there and the root is being counted."""
        return self._next >= self.manifest.chunks

    def step(self) -> bool:
        """A turn of checking what was written; True when the table is good.

        Fault(TABLE_ROOT) when it is not: fetched again, at most three times.
        """
        if not self.is_checking:
            return False
        if self._digest is None:
            self._file.close()
            self._file = self._storage.open(_NEW, "rb")
            self._digest = hashlib.sha256()
        piece = self._file.read(table.CHUNK)
        if piece:
            self._digest.update(piece)
            return False
        root = self._digest.digest()
        self._file.close()
        if equal(root, self.manifest.root):
            self._check_shape()
            return True
        if self._tries < _TRIES:
            self._restart()
        raise Fault(TABLE_ROOT, "table %d" % self.manifest.version)

    @property
    def has_failed(self) -> bool:
        """Whether the last try is over without a good table."""
        return self._digest is not None

    def _check_shape(self) -> None:
        file = self._storage.open(_NEW, "rb")
        try:
            found = table.Table(file)
        finally:
            file.close()
        if found.version != self.manifest.version or found.rows != self.manifest.rows:
            raise Fault(TABLE_SHAPE, "table %d" % self.manifest.version)


def check_newer(version: int, applied: int) -> None:
    """Fault(TABLE_OLD) when a version is older than one that was applied: a blocked card stays blocked."""
    if version < applied:
        raise Fault(TABLE_OLD, "version %d" % version, "applied %d" % applied)

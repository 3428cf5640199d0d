"""The holder's store: four counters for each (account, bucket).

Promises: the journal is the truth and this only a shortcut.  What changed since
the last checkpoint lies in RAM, at most a few dozen keys; a checkpoint merges it
into a new file in small turns and puts that in place at once.  A boot takes the
checkpoint and replays the journal from `state.next_seq` on.
"""

from firmware.app.checkpoint import NAME, NEW, PAGES_MAX, Checkpoint, Merge, PageIndex, new_window
from firmware.app.overlay import CAPACITY, Overlay
from protocols.errors import STORAGE_MISSING, Fault
from protocols.ledger.holder import NONE, Counters

# Keys in RAM before a checkpoint begins.
CHANGED_MAX = 64


class CounterStore:
    """Keeps the contract of the Holder's store: get() and put().

    A device that holds no rights keeps its state here and no counters: it takes no room for them.
    """

    def __init__(self, storage, device: int, epoch: int, holds_rights: bool = True) -> None:
        self._storage = storage
        self._device = device
        self._epoch = epoch
        # None while there is no checkpoint, and after a storage that failed in the middle of a swap.
        self._file: Checkpoint | None = None
        self._rows = 0
        self._window = new_window()
        pages, rows = (PAGES_MAX, CAPACITY) if holds_rights else (0, 0)
        self._index = PageIndex(pages)
        self._next_index = PageIndex(pages)
        self._changed = Overlay(rows)
        self._spare = Overlay(rows)
        # What the checkpoint on its way holds, and the state that belongs to it; None when there is none.
        self._frozen: Overlay | None = None
        self._frozen_state = b""
        self._first_benefit = 0
        self._merge: Merge | None = None
        # The last key that was looked up in the file: a tap asks for the same one several times.
        self._found_key = None
        self._found = NONE

    def open(self):
        """The state bytes of the last checkpoint, or None when there is none.

        Raises Fault(TABLE_SHAPE) for a damaged file: the journal must then be whole.
        """
        self._storage.remove(NEW)
        if not self._storage.exists(NAME):
            return None
        self._reopen()
        if self._file is None:
            return None
        self._file.check(self._device, self._epoch)
        self._rows = self._file.rows
        return self._file.state

    def _reopen(self) -> None:
        self._file = Checkpoint(self._storage.open(NAME, "rb"), self._index, self._window, self._rows)

    def _restore(self) -> None:
        """Open the old file again if a swap did not come to its end."""
        if self._file is None and self._rows:
            try:
                self._reopen()
            except OSError:
                # get() says so until the next checkpoint succeeds.
                pass

    def forget(self) -> None:
        """Close a file that open() refused; the counters start from nothing."""
        if self._file is not None:
            self._file.file.close()
        self._file = None
        self._rows = 0

    # The Holder's side

    def get(self, account: int, bucket: int) -> Counters:
        """The counters of a key; all zero for a key never seen."""
        counters = self._changed.get(account, bucket)
        if counters is None and self._frozen is not None:
            counters = self._frozen.get(account, bucket)
        if counters is not None:
            return counters
        if self._found_key != (account, bucket):
            self._found = self._find(account, bucket)
            self._found_key = (account, bucket)
        return self._found

    def _find(self, account: int, bucket: int) -> Counters:
        if not self._rows:
            return NONE
        # Never "no counters" because a file cannot be read: that would forget what was spent.
        if self._file is None:
            raise Fault(STORAGE_MISSING, "counters")
        try:
            return self._file.find(account, bucket)
        except OSError as error:
            raise Fault(STORAGE_MISSING, "counters", str(error.errno))  # noqa: B904

    def put(self, account: int, bucket: int, counters: Counters) -> None:
        """Remember the counters of a key; the journal has the record behind them."""
        self._changed.put(account, bucket, counters)

    def check_room(self, account: int, bucket: int, second: int | None = None) -> None:
        """Fault(STORAGE_MISSING) when a change of the key, or of two, could not be kept: ask first."""
        if not self._changed.has_room(account, bucket, second):
            raise Fault(STORAGE_MISSING, "counters", "no checkpoint for too long")

    # The checkpoint

    @property
    def is_due(self) -> bool:
        """Whether enough has changed for a checkpoint."""
        return self._changed.count >= CHANGED_MAX

    @property
    def is_merging(self) -> bool:
        """Whether a checkpoint is on its way."""
        return self._frozen is not None

    def begin(self, state: bytes, first_benefit: int = 0) -> None:
        """Begin a checkpoint of what is known now; `state` must fold exactly the same records.

        Benefits whose bucket is below `first_benefit` are of days that are over:
        nothing can be sold from them any more, and they are left out.  Brings one
        that is on its way to its end first, with its Fault if it has one.
        """
        self.finish()
        self._frozen, self._frozen_state = self._changed, state
        self._first_benefit = first_benefit
        self._changed, self._spare = self._spare, self._changed
        self._changed.clear()

    def finish(self) -> None:
        """Bring a checkpoint that is on its way to its end."""
        while self._frozen is not None:
            self.step()

    def step(self) -> None:
        """One small turn of the checkpoint; when it fails, the next turn begins it anew."""
        if self._frozen is None:
            return
        try:
            if self._merge is None:
                self._merge = Merge(
                    self._storage,
                    self._file,
                    self._frozen,
                    self._frozen_state,
                    self._next_index,
                    self._first_benefit,
                )
            if not self._merge.turn():
                self._merge.close(self._device, self._epoch)
                self._take(self._merge.rows)
        except OSError as error:
            if self._merge is not None:
                self._merge.give_up()
            self._merge = None
            self._restore()
            raise Fault(STORAGE_MISSING, "counters", str(error.errno))  # noqa: B904

    def _take(self, rows: int) -> None:
        """Put the finished file in place.  A power cut leaves the old one or the new one."""
        old, self._file = self._file, None
        if old is not None:
            # Its blocks may be used again from here on.
            old.file.close()
        self._storage.replace(NEW, NAME)
        self._index, self._next_index = self._next_index, self._index
        self._rows = rows
        self._reopen()
        self._merge = None
        self._frozen = None
        self._found_key = None

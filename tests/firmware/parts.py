"""The parts of a board as scripts that can fail: files, clock, reader, rotor, panel, link, watchdog."""

import io

# 2025-09-01 05:00 UTC, 08:00 in a school three hours ahead.
MORNING = 1756702800


class RamStorage:
    """Files in RAM; keeps hal/storage.py.  `is_full`: every write fails from now on.

    `room`: so many opens, writes, closes and renames still find room, then none does; None: all do.
    """

    def __init__(self):
        self.files = {}
        self.is_full = False
        self.room = None
        self.was_full = False
        self.open_count = 0

    def open(self, name, mode):
        if mode == "rb":
            if name not in self.files:
                raise OSError(2)
            return Reading(self, self.files[name])
        self.check_room()
        return Writing(self, name)

    def check_room(self):
        """OSError(28) for a write that finds no room."""
        if self.is_full or self.room == 0:
            self.was_full = True
            raise OSError(28)
        if self.room is not None:
            self.room -= 1

    def replace(self, temporary, name):
        self.check_room()
        if temporary not in self.files:
            raise OSError(2)
        self.files[name] = self.files.pop(temporary)

    def remove(self, name):
        self.files.pop(name, None)

    def exists(self, name):
        return name in self.files


class Reading:
    """A file that is read."""

    def __init__(self, storage, content):
        self._file = io.BytesIO(content)
        self.seek = self._file.seek
        self.readinto = self._file.readinto
        self.read = self._file.read
        self._storage = storage
        self._is_open = True
        storage.open_count += 1

    def close(self):
        if self._is_open:
            self._is_open = False
            self._storage.open_count -= 1

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()


class Writing:
    """A file that is written."""

    def __init__(self, storage, name):
        self._storage = storage
        self._name = name
        self._content = bytearray()
        self._is_open = True

    def write(self, data):
        if not self._is_open:
            raise ValueError("closed")
        self._storage.check_room()
        self._content += data
        return len(data)

    def close(self):
        if self._is_open:
            self._is_open = False
            self._storage.check_room()
            self._storage.files[self._name] = bytes(self._content)

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.close()


class RigClock:
    """A clock that moves when a test says so; keeps hal/clock.py."""

    settable = True

    def __init__(self, known=True):
        self.now = MORNING
        self.real = 0
        self.known = known

    def pass_ms(self, milliseconds):
        """Time goes by."""
        self.real += milliseconds
        self.now = MORNING + self.real // 1000

    def utc(self):
        return self.now

    def set_utc(self, seconds):
        self.now = seconds
        self.known = True

    def at_least(self, seconds):
        if not self.known:
            self.now = max(self.now, seconds)

    def ticks(self):
        return self.real

    def elapsed(self, later, earlier):
        return later - earlier

    uptime = ticks
    uptime_elapsed = elapsed


class Hands:
    """Reader and rotor; keeps hal/reader.py and hal/portal.py."""

    dropped = 0
    faults = 0

    def __init__(self):
        self.taps = []
        self.turns = []
        self.released = ""

    def step(self):
        return 1000

    def next_tap(self):
        return self.taps.pop(0) if self.taps else None

    def next_turn(self):
        return self.turns.pop(0) if self.turns else None

    def release(self, direction):
        self.released = direction

    def lock(self):
        self.released = ""


class RigPanel:
    """Remembers what was shown; `on_verdict` looks at the world in that very moment."""

    def __init__(self):
        self.verdicts = []
        self.passages = []
        self.faults = []
        self.answers = []
        self.questions = []
        self.voids = []
        self.basket = None
        self.voided_sales = []
        self.identified = []
        self.readers = []
        self.on_verdict = None

    def ready(self, device, next_seq):
        self.answers.append(("ready", next_seq))

    def verdict(self, kind, refusal, seq, time):
        self.verdicts.append((kind, refusal, seq))
        if self.on_verdict is not None:
            self.on_verdict(seq)

    def passage(self, seq, stage, of):
        self.passages.append((seq, stage, of))

    def last(self, item, refusal, waiting):
        self.answers.append(("last", item, refusal, waiting))

    def status(self, values):
        self.answers.append(("status", dict(values)))

    def voided(self, of, refusal, seq):
        self.voided_sales.append((of, refusal, seq))

    def identify(self, seq):
        self.identified.append(seq)

    def reader(self, side, code):
        self.readers.append((side, code))

    def fault(self, code, thing):
        self.faults.append(code)

    def next_question(self):
        return self.questions.pop(0) if self.questions else None

    def next_basket(self):
        basket, self.basket = self.basket, None
        return basket

    def next_void(self):
        return self.voids.pop(0) if self.voids else None


class RigLink:
    """A link that a test scripts: what is sent lies in `sent`, what comes in is put into `inbound`."""

    dropped_in = dropped_out = failures = 0

    def __init__(self):
        self.sent = []
        self.inbound = []
        self.connection = 0
        self.online = False
        self.room = 99

    def up(self):
        """The link comes up."""
        self.connection += 1
        self.online = True

    def down(self):
        """The link goes away with all that was on its way."""
        self.online = False
        self.inbound = []

    def step(self):
        return 1000

    def publish(self, topic, payload):
        if not self.online or not self.room:
            return False
        self.room -= 1
        self.sent.append((topic, payload))
        return True

    def receive(self):
        return self.inbound.pop(0) if self.inbound else None


class Dog:
    """A watchdog that counts its meals."""

    def __init__(self):
        self.feeds = 0

    def feed(self):
        self.feeds += 1

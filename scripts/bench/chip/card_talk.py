"""`bench auth`, the reader's half: what a gate computes while a card proves itself.  Both interpreters.

The card is a list of replies that a card gave to these very random numbers (scripts/bench/desfire_talk.json,
as hex), so nothing of a card's work is counted, and every command is compared with what that card was told.

    micropython card_talk.py FILE COUNT      prints one JSON object: CPU microseconds, counts, bytes of heap
"""

import gc
import hashlib
import json
import sys
import time

from protocols.card import aes, application

try:
    import cryptolib
except ImportError:
    cryptolib = None

_SHA_COUNT, _BATCHES = 200, 20
_ECB = 1
# Where the two commands of the authentication begin among those of identify().
_AUTHENTICATION = 2


def now_us() -> int:
    """CPU microseconds of this process; as chip/measure.py has them."""
    clock = getattr(time, "process_time", None) or time.clock
    return int(clock() * 1000000)


class Talk:
    """A card's side of one identification, again and again."""

    def __init__(self, values: dict) -> None:
        self._uid = bytes.fromhex(values["uid"])
        self._role = values["role"]
        self._master = bytes.fromhex(values["master"])
        self._random = bytes.fromhex(values["random"])
        self._commands = [bytes.fromhex(each) for each in values["commands"]]
        self._replies = [bytes.fromhex(each) for each in values["replies"]]
        self._credential = values["credential"]
        self.key = application.card_key(self._master, self._uid, self._role)

    def _master_of(self, _role: int, _version: int) -> bytes:
        return self._master

    def _random_bytes(self, _count: int) -> bytes:
        return self._random

    def _hold(self, talk, first: int):
        """The value of a talk that begins with command number `first`."""
        number = first
        try:
            command = next(talk)
            while True:
                if command != self._commands[number]:
                    raise ValueError("command %d" % number)
                number += 1
                command = talk.send(self._replies[number - 1])
        except StopIteration as done:
            return done.value, number - first

    def authenticate(self) -> int:
        """EV2First under a key that is there; the number of commands."""
        session, count = self._hold(
            application.authenticate(self.key, self._role, self._random_bytes), _AUTHENTICATION
        )
        if session is None:
            raise ValueError("session")
        return count

    def identify(self) -> int:
        """All of it, with the card's own key made of the master key; the number of commands."""
        talk = application.identify(self._uid, self._role, self._master_of, self._random_bytes)
        credential, count = self._hold(talk, 0)
        if credential != self._credential:
            raise ValueError("credential")
        return count


class Counted:
    """cryptolib's or the host's cipher, with its calls and blocks counted."""

    def __init__(self) -> None:
        self.calls = self.blocks = 0
        self._encrypt, self._decrypt = aes.encrypt, aes.decrypt
        aes.encrypt, aes.decrypt = self._counted(self._encrypt), self._counted(self._decrypt)

    def _counted(self, cipher):
        def counting(key, iv, data):
            self.calls += 1
            self.blocks += len(data) // aes.BLOCK
            return cipher(key, iv, data)

        return counting

    def end(self) -> None:
        """Take the counting out."""
        aes.encrypt, aes.decrypt = self._encrypt, self._decrypt


def counted(call) -> tuple:
    """(commands, calls of the cipher, blocks) of one call."""
    counter = Counted()
    try:
        commands = call()
    finally:
        counter.end()
    return commands, counter.calls, counter.blocks


def timed(call, count: int) -> float:
    """CPU microseconds of one call: the best mean of three rounds."""
    best = 0.0
    for _ in range(3):
        gc.collect()
        started = now_us()
        for _ in range(count):
            call()
        took = (now_us() - started) / count
        best = min(best or took, took)
    return best


def sha() -> None:
    """The yardstick: 64 bytes."""
    hashlib.sha256(_BYTES).digest()


def cipher_us(count: int) -> tuple:
    """(one block of AES under a key that is set, with setting the key) in CPU microseconds, bare."""
    if cryptolib is None:
        # The host's figures are those of the whole talks alone.
        return 0.0, 0.0
    one = cryptolib.aes(_KEY, _ECB)
    return (
        timed(lambda: one.encrypt(_KEY), count),
        timed(lambda: cryptolib.aes(_KEY, _ECB).encrypt(_KEY), count),
    )


def garbage(call) -> int:
    """Bytes of heap that one call leaves to the collector; 0 where nobody tells."""
    if not hasattr(gc, "mem_alloc"):
        return 0
    gc.collect()
    gc.disable()
    before = gc.mem_alloc()
    call()
    left = gc.mem_alloc() - before
    gc.enable()
    return left


_KEY = bytes(16)
_BYTES = bytes(64)


def main(path: str, count: int) -> dict:
    """All figures."""
    with open(path) as file:
        talk = Talk(json.load(file))
    block_us, key_us = cipher_us(20 * count)
    found = {"sha_us": timed(sha, 20 * count), "block_us": block_us, "key_us": key_us}
    for name, call in (("authenticate", talk.authenticate), ("identify", talk.identify)):
        commands, calls, blocks = counted(call)
        found[name] = {
            "us": timed(call, count),
            "commands": commands,
            "calls": calls,
            "blocks": blocks,
            "garbage": garbage(call),
        }
    return found


if __name__ == "__main__":
    print(json.dumps(main(sys.argv[1], int(sys.argv[2]))))

"""AES (FIPS 197) in the two modes that cards speak, ECB of one block and CBC, on both interpreters.

Promises: one function for one use, keys of 16, 24 or 32 bytes, data in whole
blocks of 16.  MicroPython's cryptolib does the work on a chip, the package
`cryptography` on the host; a key of 24 bytes, which cryptolib does not take and
only key diversification needs, is encrypted by the plain code below.  Padding
is the caller's: each card protocol pads in its own way.
"""

# mypy: disable-error-code="assignment,misc"

from protocols.errors import FIELD_RANGE, Fault

try:
    from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
except ImportError:
    Cipher = algorithms = modes = None
try:
    from cryptolib import aes as _chip
except ImportError:
    _chip = None

BLOCK = 16
ZEROS = bytes(BLOCK)

_CBC = 2
_KEYS = (16, 24, 32)


def _check(key, data) -> None:
    if len(key) not in _KEYS:
        raise Fault(FIELD_RANGE, "aes.key", "%d B" % len(key))
    if not data or len(data) % BLOCK:
        raise Fault(FIELD_RANGE, "aes.data", "%d B" % len(data))


def _host(key, iv, data, direction: str) -> bytes:
    worker = getattr(Cipher(algorithms.AES(bytes(key)), modes.CBC(bytes(iv))), direction)()
    return worker.update(bytes(data)) + worker.finalize()


def encrypt_block(key, block) -> bytes:
    """16 bytes: one block under the key."""
    return encrypt(key, ZEROS, block)


def encrypt(key, iv, data) -> bytes:
    """CBC: as many bytes as `data`; `iv` of 16 bytes."""
    _check(key, data)
    if _chip is None:
        return _host(key, iv, data, "encryptor")
    if len(key) == 24:
        return _encrypt_plain(key, iv, data)
    return _chip(key, _CBC, iv).encrypt(data)


def decrypt(key, iv, data) -> bytes:
    """CBC: as many bytes as `data`; keys of 16 or 32 bytes."""
    _check(key, data)
    if len(key) == 24:
        raise Fault(FIELD_RANGE, "aes.key", "24 B")
    if _chip is None:
        return _host(key, iv, data, "decryptor")
    return _chip(key, _CBC, iv).decrypt(data)


# AES-192 on a chip: encryption only, tables made when they are first needed.


def _double(value: int) -> int:
    """Times x in GF(2^8) modulo x^8 + x^4 + x^3 + x + 1."""
    return ((value << 1) ^ 0x1B) & 0xFF if value & 0x80 else value << 1


def _s_box() -> bytes:
    """The substitution of FIPS 197 section 5.1.1, by powers of the generator 3 and their inverses."""
    box = bytearray(256)
    power = inverse = 1
    for _ in range(255):
        power ^= _double(power)
        # One step back: the inverse of 3 is 0xF6.
        inverse ^= (inverse << 1) & 0xFF
        inverse ^= (inverse << 2) & 0xFF
        inverse ^= (inverse << 4) & 0xFF
        if inverse & 0x80:
            inverse ^= 0x09
        spread = inverse
        for turn in range(1, 5):
            spread ^= (inverse << turn | inverse >> (8 - turn)) & 0xFF
        box[power] = spread ^ 0x63
    box[0] = 0x63
    return bytes(box)


def _expand(key, box: bytes) -> bytearray:
    """The round keys, FIPS 197 section 5.2: 16 bytes for each of len(key) / 4 + 7 rounds."""
    words = len(key) // 4
    rounds = words + 6
    made = bytearray(key)
    constant = 1
    for number in range(words, 4 * (rounds + 1)):
        word = made[-4:]
        if number % words == 0:
            word = bytearray((box[word[1]] ^ constant, box[word[2]], box[word[3]], box[word[0]]))
            constant = _double(constant)
        elif words > 6 and number % words == 4:
            word = bytearray(box[value] for value in word)
        at = 4 * (number - words)
        made += bytes(made[at + place] ^ word[place] for place in range(4))
    return made


def _mix(state: bytearray) -> None:
    for at in range(0, BLOCK, 4):
        a, b, c, d = state[at : at + 4]
        every = a ^ b ^ c ^ d
        state[at] = a ^ every ^ _double(a ^ b)
        state[at + 1] = b ^ every ^ _double(b ^ c)
        state[at + 2] = c ^ every ^ _double(c ^ d)
        state[at + 3] = d ^ every ^ _double(d ^ a)


def _encrypt_plain(key, iv, data) -> bytes:
    box = _s_box()
    keys = _expand(key, box)
    last = len(keys) // BLOCK - 1
    previous = bytes(iv)
    output = b""
    for start in range(0, len(data), BLOCK):
        state = bytearray(data[start + place] ^ previous[place] ^ keys[place] for place in range(BLOCK))
        for number in range(1, last + 1):
            # SubBytes and ShiftRows in one: column c takes row r from column c + r.
            state = bytearray(box[state[(place + 4 * (place % 4)) % BLOCK]] for place in range(BLOCK))
            if number < last:
                _mix(state)
            for place in range(BLOCK):
                state[place] ^= keys[number * BLOCK + place]
        previous = bytes(state)
        output += previous
    return output

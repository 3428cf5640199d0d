"""AES-CMAC (RFC 4493, NIST SP 800-38B) as cards use it.

Promises: the state of the chain may be handed in, since an EV1 session goes on
from its last block; the truncated form of EV2 and SDM is its own function.
"""

from protocols.card import aes

_RB = 0x87
TRUNCATED = 8


def _doubled(block) -> bytes:
    """Shift left by one bit; RFC 4493 section 2.3."""
    number = int.from_bytes(block, "big") << 1
    if number >> 128:
        number = (number ^ _RB) & ((1 << 128) - 1)
    return number.to_bytes(aes.BLOCK, "big")


def subkeys(key) -> tuple:
    """(K1, K2) of a key, 16 bytes each."""
    first = _doubled(aes.encrypt_block(key, aes.ZEROS))
    return first, _doubled(first)


def cmac(key, message, iv=aes.ZEROS) -> bytes:
    """16 bytes over the message; `iv`: the block to go on from, zeros for a MAC that stands alone."""
    first, second = subkeys(key)
    whole = bytes(message)
    rest = len(whole) % aes.BLOCK
    if whole and not rest:
        last = first
    else:
        whole += b"\x80" + bytes(aes.BLOCK - 1 - rest)
        last = second
    return over_padded(key, whole, last, iv)


def over_padded(key, padded, subkey, iv=aes.ZEROS) -> bytes:
    """16 bytes: the last block of CBC over whole blocks, whose last is mixed with a subkey first."""
    head, tail = padded[: -aes.BLOCK], padded[-aes.BLOCK :]
    mixed = bytes(tail[place] ^ subkey[place] for place in range(aes.BLOCK))
    return aes.encrypt(key, iv, head + mixed)[-aes.BLOCK :]


def truncated(mac) -> bytes:
    """8 bytes, the odd places 1, 3 ... 15 of a MAC: MACt and SDMMAC (NXP AN12196 section 4.3)."""
    return bytes(mac[place] for place in range(1, aes.BLOCK, 2))

"""Fixed little-endian layouts with range-checked fields.

MicroPython's struct.pack cuts a value that does not fit without a word
(300 in a byte gives 44), so every structure of ours is packed here.
"""

import struct
import sys

from protocols.errors import FIELD_RANGE, WIRE_BODY, Fault

_LIMITS = {
    "u8": ("B", 0, 0xFF),
    "u16": ("H", 0, 0xFFFF),
    "u32": ("I", 0, 0xFFFFFFFF),
    "u64": ("Q", 0, 0xFFFFFFFFFFFFFFFF),
    "i16": ("h", -0x8000, 0x7FFF),
    "i32": ("i", -0x80000000, 0x7FFFFFFF),
}
# One look back at what was packed is faster there than a look at each value before.
_CUTS = sys.implementation.name == "micropython"


class Layout:
    """A structure of named fields, written `name kind, name kind`.

    Kinds are u8 u16 u32 u64 i16 i32, or bytesN of exactly N bytes.

    `pack` raises Fault(FIELD_RANGE) naming the field; `unpack` returns a tuple
    in the order of the fields and raises Fault(WIRE_BODY) when bytes are missing.
    `pattern` is that of struct, for a place that has looked at sizes and ranges itself.
    """

    def __init__(self, name: str, fields: str) -> None:
        self.name = name
        self._fields = fields
        self._limits: list[tuple] = []
        pattern = "<"
        for field in fields.split(", "):
            kind = field.split(" ")[1]
            if kind.startswith("bytes"):
                size = int(kind[5:])
                pattern += "%ds" % size
                self._limits.append((None, size, size))
            else:
                self._limits.append(_LIMITS[kind])
                pattern += _LIMITS[kind][0]
        self.pattern = pattern
        self.size = struct.calcsize(pattern)

    @property
    def names(self) -> tuple:
        """The names of the fields, read out of their text each time: a chip keeps the text alone."""
        return tuple(field.split(" ")[0] for field in self._fields.split(", "))

    def pack(self, *values) -> bytes:
        """The bytes of the structure, or Fault(FIELD_RANGE, "layout.field")."""
        if len(values) != len(self._limits):
            raise Fault(FIELD_RANGE, self.name, "%d values" % len(values))
        if _CUTS:
            packed = struct.pack(self.pattern, *values)
            if struct.unpack(self.pattern, packed) == values:
                return packed
        self._check(values)
        return struct.pack(self.pattern, *values)

    def _check(self, values: tuple) -> None:
        for index, limit in enumerate(self._limits):
            value = values[index]
            measured = len(value) if limit[0] is None else value
            if not limit[1] <= measured <= limit[2]:
                raise Fault(FIELD_RANGE, self.name + "." + self.names[index], str(measured))

    def unpack(self, buffer, offset: int = 0) -> tuple:
        """The values that stand at `offset` of the buffer."""
        if offset < 0 or len(buffer) - offset < self.size:
            raise Fault(WIRE_BODY, self.name, "short")
        return struct.unpack_from(self.pattern, buffer, offset)

"""A NOR flash in RAM that can lose power at any byte: the world of the journal's tests."""


class PowerCut(Exception):
    """The power went while bytes were programmed."""


class Nor:
    """Erase sets 0xFF, program clears bits only; `cut_after` bytes later the power goes."""

    def __init__(self, sectors=4):
        self.sector_size = 4096
        self.size = sectors * 4096
        self.cells = bytearray(b"\xff" * self.size)
        self.cut_after = None
        self.cut_bits = 0xFF
        self.erases = 0
        self.programmed = 0
        self.stuck = ()

    def read_into(self, offset, buffer):
        buffer[:] = self.cells[offset : offset + len(buffer)]

    def program(self, offset, data):
        for index in range(len(data)):
            if self.cut_after is not None:
                if self.cut_after == 0:
                    # The byte at the cut has lost some of its bits, or all, or none.
                    self.cells[offset + index] &= data[index] | self.cut_bits
                    raise PowerCut()
                self.cut_after -= 1
            if offset + index in self.stuck:
                continue
            self.cells[offset + index] &= data[index]
            self.programmed += 1

    def erase(self, sector):
        if self.cut_after is not None:
            if self.cut_after == 0:
                raise PowerCut()
            self.cut_after -= 1
        start = sector * self.sector_size
        self.cells[start : start + self.sector_size] = b"\xff" * self.sector_size
        self.erases += 1

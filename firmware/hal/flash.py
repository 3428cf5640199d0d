"""Raw NOR flash, the ground of the journal.

Programming clears bits and never sets them; erasing sets a whole sector to
0xFF.  A power cut may stop either at any byte.  Leaves to others what the bytes mean.
"""


class Flash:
    """`size`: bytes, a multiple of `sector_size`; `sector_size`: bytes that one erase sets to 0xFF."""

    size = 0
    sector_size = 4096

    def read_into(self, offset: int, buffer) -> None:
        """Fill the buffer from `offset`; Fault(FLASH_WRITE) outside of the flash."""
        raise NotImplementedError

    def program(self, offset: int, data) -> None:
        """Clear bits; Fault(FLASH_WRITE) when a bit that is 0 should become 1."""
        raise NotImplementedError

    def erase(self, sector: int) -> None:
        """Set one sector to 0xFF; Fault(FLASH_ERASE) when it does not exist."""
        raise NotImplementedError

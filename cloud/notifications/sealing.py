"""How the text of a message lies in the database: sealed, and bound to its row."""

from cloud.keys import Vault


def sealed(vault: Vault, text: str, outbox_id: int, adult_id: int) -> bytes:
    """The text as bytes that open for this row only."""
    return vault.seal(text.encode(), _context(outbox_id, adult_id))


def opened(vault: Vault, body: bytes, outbox_id: int, adult_id: int) -> str:
    """The text again, or VaultError when the bytes are another row's."""
    return vault.open(body, _context(outbox_id, adult_id)).decode()


def _context(outbox_id: int, adult_id: int) -> bytes:
    return f"message/{outbox_id}/{adult_id}".encode()

"""What every page needs at hand: settings, store, vault, clock.  Knows nothing of Flask."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Engine

from cloud.archive import Archive
from cloud.config import Config
from cloud.keys import Vault


@dataclass(frozen=True)
class Site:
    """One running web process.  `now` gives UTC seconds; tests hand in their own."""

    config: Config
    engine: Engine
    vault: Vault
    archive: Archive
    now: Callable[[], int]
    random_bytes: Callable[[int], bytes]
    sleep: Callable[[float], None]

    @property
    def is_tls(self) -> bool:
        """Whether people reach this site through TLS; then cookies never travel without it."""
        return self.config.web_url.startswith("https://")

    def answer_at(self, started: float, after_s: float) -> None:
        """Wait until `after_s` seconds after `started` (monotonic), so that the work done does not show."""
        self.sleep(max(0.0, started + after_s - time.monotonic()))

    def cookie(self, name: str) -> str:
        """A cookie's full name: `__Host-` pins it to this host and to TLS where there is TLS."""
        return f"__Host-{name}" if self.is_tls else name

"""The brokers of a play: the embedded one in a process of its own, or mosquitto as a school has it.

It promises that either listens on the loopback only. The embedded broker knows no passwords and no topic
rights, which is why it serves demos and small tests only; mosquitto's files come from cloud/devices, as a
real school's do. Neither has to be trusted: every message carries the device's own MAC. Run as `python -m
scripts.play.broker FILE`, it becomes the embedded broker with that rumqttd configuration.
"""

import os
import shutil
import sys
from pathlib import Path

from scripts.play.ports import LOOPBACK

# rumqttd keeps its topics in memory: these bounds allow a city's worth of small messages of a few minutes.
_SETTINGS = """\
id = 0

[router]
id = 0
max_connections = 200
max_outgoing_packet_count = 200
max_segment_size = 1048576
max_segment_count = 20

[v4.1]
name = "play"
listen = "{host}:{port}"
next_connection_delay_ms = 1

[v4.1.connections]
connection_timeout_ms = 20000
max_payload_size = 20480
max_inflight_count = 100
dynamic_filters = true
"""
MOSQUITTO_PLACES = ("/usr/sbin", "/usr/local/sbin", "/opt/homebrew/sbin")


class BrokerMissing(Exception):
    """mosquitto is asked for and not installed; the text names the line that installs it."""


def embedded(folder: Path, port: int) -> list[str]:
    """Write the configuration of the embedded broker; returns the command that runs it."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "embedded.toml"
    path.write_text(_SETTINGS.format(host=LOOPBACK, port=port), encoding="ascii")
    return [sys.executable, "-m", "scripts.play.broker", str(path)]


def mosquitto(settings: Path) -> list[str]:
    """The command that runs mosquitto with the product's settings; BrokerMissing when it is not installed."""
    found = shutil.which("mosquitto")
    for place in MOSQUITTO_PLACES:
        found = found or shutil.which("mosquitto", path=place)
    if not found:
        raise BrokerMissing("mosquitto is not installed: sudo apt-get install mosquitto")
    if os.getuid() == 0:
        # As root mosquitto would become a user of its own, who may not read this folder.
        text = settings.read_text(encoding="utf-8")
        settings.write_text(f"user root\n{text}", encoding="utf-8")
    return [found, "-c", str(settings)]


def main(path: str) -> None:
    """Become the embedded broker; ends by SIGTERM only."""
    import logging

    from iotcore import Broker

    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(levelname)s %(message)s")
    # rumqttd writes a line for every packet and calls it an error.
    logging.getLogger("rumqttd").setLevel(logging.CRITICAL)
    Broker(config_path=path).run_forever()


if __name__ == "__main__":
    main(sys.argv[1])

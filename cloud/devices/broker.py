"""The files of a mosquitto broker for a school: settings, passwords, topic rights.

Promises: nobody without a password; a device writes its own `up` and `state` and
reads its own `down` and `tbl`, nothing else, and its client id is its user name,
so that it can neither speak nor listen for another; the ingest user reads what
devices write and writes what they read.  Passwords are hashed here, in the
format of mosquitto_passwd.  The listener stays on loopback; a broker that
devices reach over a network needs TLS in front, which is for the operator.
"""

import base64
import hashlib
import os
from pathlib import Path

from sqlalchemy import Connection

from cloud.config import write_private
from cloud.devices import store
from protocols.ids import hex8
from protocols.wire import topics
from protocols.wire.envelope import SIZE_MAX

# mosquitto 2.0 reads `$7$iterations$salt$hash`: PBKDF2 with SHA-512, 12 bytes of salt.  Its default of 101
# iterations is enough for the 192 random bits that devices have as a password.
_ITERATIONS = 101
_SALT_SIZE = 12

_SETTINGS = """\
# Written by `klasskart cloud broker-config`.
per_listener_settings false
listener {port} {host}
allow_anonymous false
password_file {folder}/passwords
acl_file {folder}/rights
# A device cannot take over the session of another one.
use_username_as_clientid true
allow_zero_length_clientid false

# Ours are at most {size} bytes.  A queue of days is useless: devices send again what was not acknowledged.
message_size_limit {size}
max_packet_size 4096
max_inflight_messages 1000
max_queued_messages 20000
max_connections 2000
max_keepalive 600
persistent_client_expiration 7d
persistence true
persistence_location {folder}/
sys_interval 0

log_dest stderr
log_type error
log_type warning
log_type notice
connection_messages true
"""


def broker_files(
    conn: Connection,
    folder: Path | str,
    *,
    username: str,
    password: str,
    port: int = 1883,
    host: str = "127.0.0.1",
) -> Path:
    """Write mosquitto.conf, passwords and rights into a folder for all devices with an open epoch.

    `username`, `password`: those of ingest.  A running broker reads passwords
    and rights again on SIGHUP.  Returns the path of mosquitto.conf.
    """
    folder = Path(folder).absolute()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    logins = store.broker_logins(conn)
    passwords = [f"{username}:{password_hash(password)}\n"]
    passwords += [f"{hex8(row.device_id)}:{row.broker_hash}\n" for row in logins if row.broker_hash]
    rights = [f"user {username}\n", *_rights_of_ingest()]
    for row in logins:
        rights += [f"\nuser {hex8(row.device_id)}\n", *_rights_of_device(row.school_id, row.device_id)]
    write_private(folder / "passwords", passwords)
    write_private(folder / "rights", rights)
    path = folder / "mosquitto.conf"
    write_private(path, [_SETTINGS.format(port=port, host=host, folder=folder, size=SIZE_MAX)])
    return path


def password_hash(password: str, salt: bytes | None = None) -> str:
    """A password as a line of mosquitto's password file keeps it."""
    salt = os.urandom(_SALT_SIZE) if salt is None else salt
    digest = hashlib.pbkdf2_hmac("sha512", password.encode(), salt, _ITERATIONS, 64)
    return f"$7${_ITERATIONS}${base64.b64encode(salt).decode()}${base64.b64encode(digest).decode()}"


def _rights_of_ingest() -> list[str]:
    every = f"{topics.PREFIX}/+/+"
    reads = [f"topic read {every}/{leaf}\n" for leaf in (topics.UP, topics.STATE)]
    reads.append(f"topic readwrite {topics.PREFIX}/+/{topics.CLOUD_HEAD}\n")
    return reads + [f"topic write {every}/{leaf}\n" for leaf in (topics.DOWN, topics.TABLE)]


def _rights_of_device(school_id: int, device_id: int) -> list[str]:
    def line(verb: str, leaf: str) -> str:
        return f"topic {verb} {topics.topic(school_id, device_id, leaf)}\n"

    writes = [line("write", leaf) for leaf in (topics.UP, topics.STATE)]
    return writes + [line("read", leaf) for leaf in (topics.DOWN, topics.TABLE)]

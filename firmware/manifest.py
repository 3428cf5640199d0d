"""What goes on a controller: folders of ours and the libraries beside them, as the build compiles them.

Read by reader_host/virtual/build.py today and by the field CLI's flash command
later.  Tests, vectors and this file stay at home.
"""

OWN = (
    "protocols",
    "protocols/card",
    "protocols/ledger",
    "protocols/wire",
    "firmware",
    "firmware/app",
    "firmware/boards",
    "firmware/drivers",
    "firmware/hal",
    "firmware/ports",
)
# The MQTT client and what it stands on; installed from the package index, pinned in constraints.txt.
LIBRARIES = (
    "chumicro_config",
    "chumicro_mqtt",
    "chumicro_sockets",
    "chumicro_sockets/_adapters",
    "chumicro_timing",
)
# Parts of the libraries that are for their own tests or for other interpreters.
LEFT_OUT = ("testing.py", "cp.py", "cpython.py", "manifest.py")
# Methods that no source of ours calls: the interpreter does, for a file system on a block device.
CALLED_BY_INTERPRETER = ("readblocks", "writeblocks", "ioctl")

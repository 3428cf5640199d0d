"""What every test may use: the real components of tests/fixtures, and hypothesis without a clock.

A component that is not installed fails the test that asks for it, here as in CI: nothing is skipped silently.
"""

import signal

from hypothesis import settings

pytest_plugins = [
    "tests.fixtures.components",  # first: the others import it
    "tests.fixtures.browser",
    "tests.fixtures.embedded",
    "tests.fixtures.micropython",
    "tests.fixtures.mosquitto",
    "tests.fixtures.pages",
    "tests.fixtures.pcsc",
    "tests.fixtures.postgres",
]

# On a loaded machine a deadline measures the machine; a failure comes with the line that repeats it.
settings.register_profile("house", deadline=None, print_blob=True, database=None)
settings.load_profile("house")

# Tests in the background of a shell are deaf to Ctrl-C, and every command they start would be too.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

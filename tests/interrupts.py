"""Children that hear Ctrl-C: a shell that runs tests in the background has them ignore it."""

import signal


def hear_interrupts() -> None:
    """A `preexec_fn`."""
    signal.signal(signal.SIGINT, signal.default_int_handler)

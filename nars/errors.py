"""The one exception type that means: the person running the program can put this right; and how it is shown."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager


class UserError(ValueError):
    """Wrong input, missing data or an unusable file. Scripts show its message as one line, without a traceback.

    The message says what is wrong, where, what was given, what is allowed and what to do next.
    """


@contextmanager
def one_line_errors() -> Iterator[None]:
    """For scripts: a UserError ends the program with its message and exit code 2, Ctrl-C with 130."""
    try:
        yield
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("\nstopped; every finished training is kept, the same command goes on from here", file=sys.stderr)
        sys.exit(130)

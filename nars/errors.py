"""The one exception type that means: the person running the program can put this right."""

import errno

DISK_ERRORS = {
    errno.ENOSPC,
    errno.EDQUOT,
    errno.EROFS,
    errno.EACCES,
    errno.EPERM,
    errno.ENOTDIR,
    errno.EEXIST,
}


class UserError(ValueError):
    """Wrong input, missing data or an unusable file. Scripts show its message as one line, without a traceback.

    The message says what is wrong, where, what was given, what is allowed and what to do next.
    """


def disk_error(error: BaseException) -> UserError | None:
    """What to say of an OSError that means a full, read-only or forbidden place; None for any other error."""
    if not isinstance(error, OSError) or error.errno not in DISK_ERRORS:
        return None
    where = error.filename or "a file"
    return UserError(f"{where}: {error.strerror}; free space or fix permissions, then run the same command again")

"""The one exception type that means: the person running the program can put this right."""


class UserError(ValueError):
    """Wrong input, missing data or an unusable file. Scripts show its message as one line, without a traceback.

    The message says what is wrong, where, what was given, what is allowed and what to do next.
    """

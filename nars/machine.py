"""What this process may use of the machine."""


def cores() -> int:
    """Cores that this process may use, at least 1: no more than its affinity and the limit of its container allow, a
    part of a core counts as one."""
    from joblib import cpu_count

    return cpu_count()

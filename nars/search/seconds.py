"""How long trainings take that were not begun yet, from those that were: for strategies that mind it."""

import numpy as np

FEWEST = 3  # trainings from which others are told
PENALTIES = np.logspace(-2, 3, 16)  # of which leave-one-out errors choose


def predicted_seconds(x: np.ndarray, costs: np.ndarray, rows: np.ndarray, seconds: np.ndarray) -> np.ndarray:
    """Seconds (n,) of an epoch of the points with features x (n, f) and `costs` (n,) above 0, from `seconds` (k,) of
    `rows` (k,), nan where unknown; a row of -1 says nothing. All alike where fewer than `FEWEST` are known.

    Ridge regression of the logarithm on the features and the logarithm of the cost; nothing is told to take longer than
    the longest known training, or less than the shortest (ours, `experiments/cost_aware`).
    """
    known = (rows >= 0) & (seconds > 0)
    if np.count_nonzero(known) < FEWEST:
        return np.ones(len(x))
    from sklearn.linear_model import RidgeCV  # takes a second
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    columns = np.column_stack([np.log(costs), x])
    logs = np.log(seconds[known])
    model = make_pipeline(StandardScaler(), RidgeCV(PENALTIES)).fit(columns[rows[known]], logs)
    return np.exp(np.clip(model.predict(columns), logs.min(), logs.max()))

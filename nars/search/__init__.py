"""How candidates are chosen: pool, rounds, evolution, baselines."""

"""How candidates are chosen: pool, rounds, early stop, evolution."""

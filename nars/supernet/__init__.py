"""Supernets: networks that hold all choices of a space, and learn which to keep by gradient."""

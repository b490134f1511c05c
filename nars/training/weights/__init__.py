"""Trained weights: files, cards, accuracy."""

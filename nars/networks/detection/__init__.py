"""Detectors of torchvision on the networks of this project."""

"""Architectures as timm networks."""

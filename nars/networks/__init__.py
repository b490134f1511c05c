"""Architectures as timm networks, and the published FBNetV3 family."""

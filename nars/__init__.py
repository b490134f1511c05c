"""NARS: joint search of neural architectures and training recipes (FBNetV3, arXiv 2006.02049)."""

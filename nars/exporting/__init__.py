"""Trained networks as files of other programs: ONNX, torch.export, the Hugging Face hub's layout."""

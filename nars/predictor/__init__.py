"""The accuracy predictor: an encoder pretrained on free statistics, then fitted to measured accuracies."""

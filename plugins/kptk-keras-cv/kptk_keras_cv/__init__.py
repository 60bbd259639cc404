"""Backbones and augmentation layers of KerasCV for kptk."""

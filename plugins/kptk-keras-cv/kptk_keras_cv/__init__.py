"""KerasCV's backbones and augmentation layers for kptk."""

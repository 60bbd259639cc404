"""Backbones of KerasHub by name, through keras-nlp for kptk."""

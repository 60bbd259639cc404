"""Supervised pre-training, the second baseline of every comparison for kptk."""

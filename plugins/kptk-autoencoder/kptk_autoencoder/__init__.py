"""Autoencoders, super-resolution and greedy layer-wise pre-training for kptk."""

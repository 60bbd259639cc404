"""Recurrent backbones and their pre-training for kptk."""

"""Masked image modelling (MAE, SimMIM) for kptk."""

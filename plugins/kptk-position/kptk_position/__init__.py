"""Relative patch position for kptk."""

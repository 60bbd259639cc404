"""Momentum contrast (MoCo v2 and v3) for kptk."""

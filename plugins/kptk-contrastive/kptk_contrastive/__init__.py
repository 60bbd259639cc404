"""Contrastive objectives for kptk."""

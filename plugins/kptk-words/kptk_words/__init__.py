"""Word vectors for kptk."""

"""Language objectives for kptk."""

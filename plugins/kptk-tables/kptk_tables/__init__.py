"""Tables for kptk."""

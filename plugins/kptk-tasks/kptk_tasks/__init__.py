"""Tasks: heads, losses, metrics and predictions for kptk."""

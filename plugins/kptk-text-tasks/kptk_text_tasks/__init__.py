"""Tasks for texts, with the readers of their examples."""

"""Contrast of many views at once, and SupCon for kptk."""

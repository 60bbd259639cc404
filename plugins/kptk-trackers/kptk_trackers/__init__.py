"""Trackers for kptk; see `kptk_trackers.plugin`."""

"""Endings of files, for specs and readers alike. Imports nothing."""

from __future__ import annotations

IMAGES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm")
"""Of pictures that the core decodes."""
TEXTS = (".txt", ".text", ".md", ".rst")
"""Of plain texts."""

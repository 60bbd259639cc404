"""Image backbones, views, readers and two bundled data sets for kptk."""

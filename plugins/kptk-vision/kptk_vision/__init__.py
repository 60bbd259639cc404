"""Image backbones, views, readers and a bundled data set for kptk."""

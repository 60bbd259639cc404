"""Fine-tuning strategies for kptk."""

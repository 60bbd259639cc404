"""Knowledge distillation for kptk."""

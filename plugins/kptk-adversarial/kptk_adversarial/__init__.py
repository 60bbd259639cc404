"""Adversarial contrastive pre-training and virtual adversarial training for kptk."""

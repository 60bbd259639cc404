"""`kptk data check`: looks at data before anything is trained on it. Needs no Keras."""

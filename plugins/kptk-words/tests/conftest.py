"""Teaches the conformance kit what the plugin's objectives learn from."""

import importlib

from kptk.training import backend

backend.import_keras()
importlib.import_module("kptk_words.toys")

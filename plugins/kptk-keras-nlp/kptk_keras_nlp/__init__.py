"""KerasHub's backbones for kptk, through keras-nlp."""

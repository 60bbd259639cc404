"""Text for kptk: readers, small corpora, tokenisers and Transformer backbones."""

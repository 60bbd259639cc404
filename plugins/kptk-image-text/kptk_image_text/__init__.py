"""Images and their captions for kptk: CLIP, SigLIP, image-text matching."""

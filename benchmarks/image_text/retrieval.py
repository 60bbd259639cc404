"""Emoji and their names: does an encoder that learned from 1,528 pairs find the names of 378 emoji that it never saw?

    python benchmarks/image_text/retrieval.py --seeds 3

Each arm is the recipe `image_text` with its own options, on the training part; every figure is on the test part, which chooses
nothing. `neighbours` needs no network: an image is described by the names of the five training images nearest to it in pixels.
A finished arm and seed is a line of results.jsonl beside this script and is not run again; `--table` prints what is there.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).parent
RESULTS = HERE / "results.jsonl"
COMMON = {
    "backbone.image": "conv_stack",
    "backbone.image_options": "filters=32,depth=4,batch_norm=true",
    "backbone.text_options": "layers=2,width=64,heads=2,dropout=0.1",
}
ARMS = {
    "clip": ("image_text", {}),
    "siglip": ("image_text", {"objective.loss": "siglip"}),
    "itm beside clip": ("image_text_matching", {}),
}
NEIGHBOURS = 5
CONTROLS = {"random": "random encoder of images", "raw": "pixels"}


def measure(arm: str, seed: int, epochs: int) -> dict:
    """Train one arm and rank the test part."""
    from kptk.training import backend

    backend.import_keras()
    import kptk
    from kptk_image_text.pairs import PairSide, captions_of
    from kptk_image_text.retrieval import recalls
    from kptk_image_text.trained_pair_model import TrainedPairModel

    recipe, options = ARMS[arm]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        began = time.process_time()
        result = kptk.train(recipe, out=out, seed=seed, epochs=epochs, options=COMMON | options)
        seconds = time.process_time() - began
        trained = TrainedPairModel(out)
        pairs, _ = trained.open_test_pairs("", "")
        captions = captions_of(pairs)
        scores = trained.scores(trained.images(PairSide(pairs, "image")), trained.texts(captions))
        judged = kptk.evaluate(out / "image", "emoji48", protocols=("knn",), seed=seed)
        probes = {f"{score.encoder} {score.protocol}": score.value for score in judged.scores}
        return {
            "arm": arm,
            "seed": seed,
            "epochs": epochs,
            "loss": result.summary["loss"],
            "chance_loss": result.summary["chance_loss"],
            "cpu_seconds": round(seconds, 1),
            "recall": {f"{row.direction} @{row.k}": row.value for row in recalls(scores, captions, seed)},
            "chance": {f"{row.direction} @{row.k}": row.chance for row in recalls(scores, captions, seed)},
            "probes": probes,
        }


def neighbours() -> dict:
    """The control without a network."""
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer

    import kptk
    from kptk_image_text.retrieval import recalls

    train = kptk.dataset("emoji_captions")
    test = train.holdout()
    pixels = [part.pictures(np.arange(len(part))).reshape(len(part), -1).astype("float64") for part in (train, test)]
    pixels = [part - pixels[0].mean(axis=0) for part in pixels]
    pixels = [part / np.linalg.norm(part, axis=1, keepdims=True) for part in pixels]
    alike = pixels[1] @ pixels[0].T
    far = np.argsort(-alike, axis=1)[:, NEIGHBOURS:]
    np.put_along_axis(alike, far, 0.0, axis=1)
    words = TfidfVectorizer(ngram_range=(1, 2), token_pattern=r"\w+").fit(train.captions)
    names = (words.transform(train.captions) @ words.transform(test.captions).T).toarray()
    found = recalls(alike @ names, test.captions)
    return {
        "arm": "neighbours",
        "seed": 0,
        "recall": {f"{row.direction} @{row.k}": row.value for row in found},
        "chance": {f"{row.direction} @{row.k}": row.chance for row in found},
    }


def done() -> list[dict]:
    return [json.loads(line) for line in RESULTS.read_text().splitlines()] if RESULTS.exists() else []


def table() -> None:
    rows = done()
    arms: dict[str, list[dict]] = {}
    for row in rows:
        arms.setdefault(row["arm"], []).append(row)
    keys = [f"{way} @{k}" for way in ("image to text", "text to image") for k in (1, 5, 10)]
    print(f"| {' | '.join(['arm', 'seeds', *keys, 'kNN', 'CPU s'])} |")
    print(f"| {' | '.join(['---'] * (len(keys) + 4))} |")
    for arm, found in arms.items():
        cells = [spread([row["recall"][key] for row in found]) for key in keys]
        probe = spread([row["probes"]["run knn"] for row in found]) if "probes" in found[0] else ""
        cost = f"{statistics.mean(row['cpu_seconds'] for row in found):.0f}" if "cpu_seconds" in found[0] else ""
        print(f"| {' | '.join([arm, str(len(found)), *cells, probe, cost])} |")
    with_probes = [row for row in rows if "probes" in row]
    for control in ("random", "raw"):
        probe = spread([row["probes"][f"{control} knn"] for row in with_probes])
        print(f"| {CONTROLS[control]} | {len(with_probes)} | | | | | | | {probe} | |")
    chances = [f"{100 * rows[0]['chance'][key]:.1f}" for key in keys]
    print(f"| chance | | {' | '.join(chances)} | | |")


def spread(values: list[float]) -> str:
    mean = 100 * statistics.mean(values)
    return f"{mean:.1f}" if len(values) < 2 else f"{mean:.1f} ± {100 * statistics.stdev(values):.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=40)
    parser.add_argument("--arms", nargs="+", choices=list(ARMS), default=list(ARMS))
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    if not given.table:
        known = {(row["arm"], row["seed"]) for row in done()}
        jobs = [("neighbours", 0)] + [(arm, seed) for seed in range(given.seeds) for arm in given.arms]
        for arm, seed in jobs:
            if (arm, seed) in known:
                continue
            row = neighbours() if arm == "neighbours" else measure(arm, seed, given.epochs)
            with RESULTS.open("a") as file:
                file.write(json.dumps(row) + "\n")
            print(arm, seed, row["recall"], flush=True)
    table()


if __name__ == "__main__":
    main()

"""Masked-token accuracy on held-out text, beside the commonest token and the previous token's commonest successor.

    python benchmarks/text/masked_tokens.py --data bible --seeds 3

The encoder is BERT with 2 layers of 128, trained with the library's own classes. The test text is the data set's own test
part (whole chapters of the Bible), or every tenth row. Each test window is masked once with a fixed seed; all three guess the
same places, and the bigram may look at the true previous token even where the encoder sees a mask. Finished seeds are kept in
a file of JSON lines beside this script.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.data import Subset
from kptk.training.feeding import steady
from kptk.training.optimizer import make_optimizer
from kptk.training.stream import batches

HERE = Path(__file__).parent
TRAIN = {
    "optimizer": "adamw",
    "weight_decay": 0.01,
    "clip_norm": 1.0,
    "warmup": 0.1,
    "schedule": "cosine",
    "lr_scaling": "none",
}


def split(name: str):
    source = kptk.dataset(name)
    if source.holdout() is not None:
        return source, source.holdout()
    rows = np.arange(len(source))
    return Subset(source, rows[rows % 10 != 9], "nine tenths"), Subset(source, rows[rows % 10 == 9], "a tenth")


def baselines(train, model, test_rows, vocabulary):
    """Accuracy of the commonest token, and of the commonest token behind the true previous one, at the masked places."""
    tokens = np.asarray(train.store.tokens).astype(np.int64)
    ordinary = np.bincount(tokens, minlength=vocabulary)
    ordinary[:5] = 0
    best = int(ordinary.argmax())
    codes, counts = np.unique(tokens[:-1] * vocabulary + tokens[1:], return_counts=True)
    follower, seen = np.full(vocabulary, best), np.zeros(vocabulary, dtype=np.int64)
    for code, count in zip(codes, counts, strict=True):
        first, second = divmod(int(code), vocabulary)
        if second >= 5 and count > seen[first]:
            follower[first], seen[first] = second, count
    right = {"masked": [], "unigram": [], "bigram": []}
    for start in range(0, len(test_rows), 256):
        rows = test_rows[start : start + 256]
        outputs = model(rows, training=False)
        targets, weights = (keras.ops.convert_to_numpy(outputs[name]) for name in ("targets", "weights"))
        said = keras.ops.convert_to_numpy(outputs["logits"]).argmax(-1)
        keep = weights > 0
        places = keras.ops.convert_to_numpy(outputs["places"])
        before = np.take_along_axis(rows, np.maximum(places - 1, 0), axis=1)
        right["masked"].append((said == targets)[keep])
        right["unigram"].append((targets == best)[keep])
        right["bigram"].append((follower[before] == targets)[keep])
    return {name: float(np.concatenate(parts).mean()) for name, parts in right.items()} | {
        "places": int(sum(map(len, right["masked"])))
    }


def one(options, seed: int) -> dict:
    keras.utils.set_random_seed(seed)
    raw, test = split(options.data)
    layer = kptk.preprocessor("text_tokens", views=1, vocabulary=options.vocabulary, length=options.length)
    layer.fit(raw)
    train, held = layer.prepared(raw, training=True), layer.prepared(test, training=True)
    vocabulary = layer.tokens.vocabulary
    backbone = kptk.backbone(
        "bert",
        input_shape=(options.length,),
        vocabulary=vocabulary,
        layers=2,
        width=options.width,
        heads=options.heads,
        dropout=options.dropout,
    )
    model = kptk.objective("mlm", backbone=backbone, views=layer, rate=options.masked)
    model.compile(
        optimizer=make_optimizer({**TRAIN, "learning_rate": options.rate, "batch_size": options.batch}, options.steps)
    )
    stream = batches(train, options.batch, seed, 0, options.steps)
    begin = time.perf_counter()
    history = model.fit(steady(stream), steps_per_epoch=options.steps // 10, epochs=10, verbose=2, shuffle=False)
    seconds = time.perf_counter() - begin
    keras.utils.set_random_seed(1000 + seed)  # the masks of the test
    scores = baselines(train, model, held.read(np.arange(len(held))), vocabulary)
    if options.save:
        Path(options.save).mkdir(parents=True, exist_ok=True)
        model.save(Path(options.save) / f"mlm-{options.data}-{seed}.keras")
    return {
        "data": options.data,
        "seed": seed,
        "steps": options.steps,
        "batch": options.batch,
        "length": options.length,
        "vocabulary": vocabulary,
        "width": options.width,
        "rate": options.rate,
        "masked_share": options.masked,
        "heads": options.heads,
        "dropout": options.dropout,
        "train_windows": len(train),
        "test_windows": len(held),
        "loss": float(history.history["loss"][-1]),
        "seconds": round(seconds, 1),
        **scores,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="bible")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=3000)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--masked", type=float, default=0.4, help="share of the tokens that is hidden")
    parser.add_argument("--heads", type=int, default=8)
    parser.add_argument("--dropout", type=float, default=0.0)
    parser.add_argument("--vocabulary", type=int, default=4000)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--save", default="", help="folder for the trained models")
    options = parser.parse_args()
    out = HERE / "results-masked-tokens.jsonl"
    done = [json.loads(line) for line in out.read_text().splitlines()] if out.exists() else []
    for seed in range(options.seeds):
        same = [
            d
            for d in done
            if all(d[key] == getattr(options, key) for key in ("data", "steps", "length", "batch", "rate", "heads"))
            and d["seed"] == seed
        ]
        record = same[0] if same else one(options, seed)
        if not same:
            with out.open("a") as file:
                file.write(json.dumps(record) + "\n")
        print({k: record[k] for k in ("data", "seed", "masked", "unigram", "bigram", "places", "seconds")}, flush=True)


if __name__ == "__main__":
    main()

"""Few labels: what a masked language model, sentence pairs and both are worth for classifying texts.

    python benchmarks/text/few_labels.py --data home_intents --objectives mlm --seeds 5
    python benchmarks/text/few_labels.py --data home_intents --corpus wiki --objectives mlm,nsp,bert --seeds 5

BERT with 2 layers of 64. With ``--corpus own`` the encoder is pre-trained on the unlabelled texts of the draw's pool, one a row;
with ``--corpus wiki`` on pairs of segments of the bundled Wikipedia articles, the same rows for every objective. Every arm of a
seed has the same labels and the same initial weights; rates are chosen on validation rows. ``--data`` may be the path of a table
with the columns text and label (reuters_r8.csv.xz). Only calls the library's harness; finished cells are kept in a file of
JSON lines beside this script.
"""

from __future__ import annotations

import argparse
import time
import warnings
from pathlib import Path

import numpy as np

from kptk.training import backend

keras = backend.import_keras()

import kptk
from kptk.training import arms
from kptk.training.experiment import Grid, Outcome, draw, paired_difference, table
from kptk.training.feeding import steady
from kptk.training.optimizer import make_optimizer
from kptk.training.stream import batches

HERE = Path(__file__).parent
BATCH, RATE, FINETUNE_STEPS, VALIDATION_PER_CLASS, TEST_ROWS = 64, 2e-3, 150, 5, 1000
TRAIN = {"optimizer": "adamw", "weight_decay": 0.01, "clip_norm": 1.0, "warmup": 0.1, "schedule": "cosine"}
TRAIN |= {"lr_scaling": "none", "learning_rate": RATE, "batch_size": BATCH}


def load(name: str) -> tuple[list[str], np.ndarray]:
    source = kptk.dataset(name)
    parts = [part for part in (source, source.holdout()) if part is not None]
    texts = [text for part in parts for text in part.read(np.arange(len(part)))]
    labels = np.concatenate([part.labels for part in parts])
    found, counts = np.unique(labels, return_counts=True)
    kept = np.isin(labels, found[counts >= 40])  # enough for test, validation and labels of a class
    return [t for t, k in zip(texts, kept, strict=True) if k], np.unique(labels[kept], return_inverse=True)[1]


def tf_idf(texts: dict[bytes, str]):
    """Words and pairs of words, weighted by TF-IDF, and logistic regression: the control without a network."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression

    def arm(data) -> Outcome:
        def own(rows):
            return [texts[row.tobytes()] for row in rows]

        words = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True).fit(own(data.pool))  # the pool needs no labels
        train, validation, test = (words.transform(own(x)) for x in (data.x, data.validation[0], data.test[0]))
        outcomes = []
        for strength in arms.STRENGTHS:
            fitted = LogisticRegression(C=strength, max_iter=2000).fit(train, data.y)
            scores = fitted.score(validation, data.validation[1]), fitted.score(test, data.test[1])
            outcomes.append(Outcome(validation=float(scores[0]), test=float(scores[1]), chosen=f"C {strength:g}"))
        return max(outcomes, key=lambda outcome: outcome.validation)

    return arm


def pretraining(objective: str, layer, corpus, steps: int, masked: float):
    """An objective's pre-training; those that hide tokens hide the share `masked`."""
    share = {"rate": masked} if objective in ("mlm", "bert", "electra") else {}

    def pretrain(backbone, data) -> dict[str, float]:
        keras.utils.set_random_seed(data.seed)
        model = kptk.objective(objective, backbone=backbone, views=layer, **share)
        model.compile(optimizer=make_optimizer(TRAIN, steps))
        rows = kptk.ArraySource(data.pool, inputs="text") if corpus is None else corpus
        begin = time.perf_counter()
        history = model.fit(
            steady(batches(rows, BATCH, data.seed, 0, steps)),
            steps_per_epoch=steps // 10,
            epochs=10,
            verbose=0,
            shuffle=False,
        ).history
        last = {name: float(values[-1]) for name, values in history.items()}
        return last | {"seconds": time.perf_counter() - begin}

    return pretrain


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="home_intents")
    parser.add_argument("--corpus", choices=("own", "wiki"), default="own")
    parser.add_argument("--objectives", default="mlm")
    parser.add_argument("--labels", default="1,5")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--long", action="store_true", help="also scratch with the steps of pre-training on top")
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--length", type=int, default=16)
    parser.add_argument("--vocabulary", type=int, default=2000)
    parser.add_argument("--masked", type=float, default=0.4, help="share of the tokens that is hidden")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--dropout", type=float, default=0.0, help="of the network, in every arm")
    options = parser.parse_args()
    texts, y = load(options.data)
    wiki = options.corpus == "wiki"
    warnings.filterwarnings("ignore", message="The number of unique classes is greater")  # few labels of many classes
    settings = {"vocabulary": options.vocabulary, "length": options.length, "examples": "next" if wiki else "texts"}
    layer = kptk.preprocessor("text_tokens", views=1, seed=0, **settings)
    raw = (
        kptk.dataset("wiki_mini", rows="article")
        if wiki
        else kptk.ArraySource(np.array(texts, dtype=object), inputs="text")
    )
    layer.fit(raw)
    corpus = layer.prepared(raw, training=True) if wiki else None
    x = layer.prepare(np.array(texts, dtype=object))
    setup = arms.Setup(
        build=lambda: kptk.backbone(
            "bert",
            input_shape=layer.view_shape(x.shape[1:]),
            vocabulary=layer.tokens.vocabulary,
            layers=2,
            width=options.width,
            heads=options.heads,
            dropout=options.dropout,
        ),
        preprocessor=layer,
        pretrain_steps=options.steps,
        finetune_steps=FINETUNE_STEPS,
        classes=int(y.max()) + 1,
    )
    bench = arms.Bench(setup)
    controls = bench.controls()
    chosen = {"tf-idf": tf_idf({row.tobytes(): text for row, text in zip(x, texts, strict=True)})}
    chosen |= {name: controls[name] for name in ("random", "scratch", *(("scratch-long",) if options.long else ()))}
    objectives = options.objectives.split(",")
    for name in objectives:
        found = bench.transfers(pretraining(name, layer, corpus, options.steps, options.masked), f"{name}/")
        chosen |= {f"{name}/{kind}": found[f"{name}/{kind}"] for kind in ("lp-ft", "frozen")}
    labels = tuple(map(int, options.labels.split(",")))
    grid = Grid(
        HERE / f"results-few-{Path(options.data).name.partition('.')[0]}-{options.corpus}-{options.steps}.jsonl"
    )
    draws = (
        draw(x, y, seed=s, labels_per_class=k, test_rows=TEST_ROWS, validation_per_class=VALIDATION_PER_CLASS)
        for s in range(options.seeds)
        for k in labels
    )
    for cell in grid.run(chosen, draws):
        print(
            f"seed {cell.seed}  k {cell.labels_per_class}  {cell.arm:<14} {100 * cell.test:5.1f} %  ({cell.chosen}) "
            f"{dict(cell.facts)}",
            flush=True,
        )
    print(
        f"\n{options.data}, pre-training {options.corpus}: {options.steps} steps of {BATCH}; "
        f"{FINETUNE_STEPS} fine-tuning steps; accuracy in %\n"
    )
    print(table(grid, tuple(chosen), labels))
    for k in labels:
        scratch = grid.best_of(("scratch", "scratch-long") if options.long else ("scratch",), k, by="test")
        for name in objectives:
            gain = paired_difference(grid.best_of((f"{name}/lp-ft", f"{name}/frozen"), k, by="validation"), scratch)
            print(
                f"k {k}: {name} (lp-ft or frozen, by validation) minus scratch: {100 * gain.mean:+.1f} "
                f"[{100 * gain.low:+.1f}, {100 * gain.high:+.1f}] points, {gain.seeds} seeds"
            )


if __name__ == "__main__":
    main()

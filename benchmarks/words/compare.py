"""Word vectors of kptk beside gensim's: the same words and settings, several seeds; agreement with people, and speed.

    python benchmarks/words/compare.py --gensim PYTHON --tests FOLDER --out benchmarks/words/results

`PYTHON` is an interpreter with gensim 4.4.0. `FOLDER` (or a .zip) holds wordsim353.tsv, simlex999.txt and questions-words.txt,
which are free for research and not part of the project. Each training runs in a process of its own, in turn.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import zipfile
from pathlib import Path

HERE = Path(__file__).parent
TESTS = ("wordsim353.tsv", "simlex999.txt", "questions-words.txt")
CORPORA = {"wiki": ("wiki_mini",), "wiki_bible": ("wiki_mini", "bible", "bible:kjv")}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gensim", required=True, help="Interpreter with gensim.")
    parser.add_argument("--tests", type=Path, required=True, help="Folder or .zip with the word tests.")
    parser.add_argument("--out", type=Path, default=HERE / "results")
    parser.add_argument("--corpora", nargs="+", choices=list(CORPORA), default=["wiki"])
    parser.add_argument("--methods", nargs="+", choices=("skipgram", "cbow"), default=["skipgram", "cbow"])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=15)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def source_of(names: tuple[str, ...]):
    """All texts of some data sets as one source."""
    import numpy as np

    import kptk

    texts = []
    for full in names:
        name, _, translation = full.partition(":")
        part = kptk.dataset(name, **({"translation": translation} if translation else {}))
        texts += part.read(np.arange(len(part))).tolist()
    return kptk.ArraySource(np.array(texts, dtype=object), inputs="text", name=" + ".join(names))


def train_ours(job: dict) -> dict:
    """One training, from texts to a file of vectors."""
    from kptk.training import backend

    keras = backend.import_keras()
    import numpy as np

    import kptk
    from kptk.training.feeding import steady
    from kptk.training.optimizer import WarmupCosine
    from kptk.training.stream import batches
    from kptk_words.formats import write
    from kptk_words.keyed_vectors import KeyedVectors
    from kptk_words.vocabulary import FIRST
    from kptk_words.words import Words

    source = source_of(CORPORA[job["corpus"]])
    keras.utils.set_random_seed(job["seed"])
    words = Words(seed=job["seed"])
    start = time.perf_counter()
    words.fit(source)
    blocks = words.prepared(source, training=True)
    reading = time.perf_counter() - start
    backbone = kptk.backbone("word_vectors", input_shape=(words.block,), vocabulary=words.vocabulary_size)
    model = kptk.objective(job["method"], backbone=backbone, views=words)
    batch = 16
    steps = len(blocks) // batch
    schedule = WarmupCosine(0.025, 0, steps * job["epochs"], cosine=False, linear=True)
    model.compile(optimizer=keras.optimizers.SGD(schedule))
    stream = steady(batches(blocks, batch, job["seed"], 0, steps * job["epochs"]))
    model.fit(stream, steps_per_epoch=1, epochs=1, shuffle=False, verbose=0)  # compiles
    start, cpu = time.perf_counter(), time.process_time()
    model.fit(stream, steps_per_epoch=steps * job["epochs"] - 1, epochs=1, shuffle=False, verbose=0)
    seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
    table = keras.ops.convert_to_numpy(model.table.embeddings)[FIRST:]
    write(KeyedVectors(words.vocabulary.words, np.asarray(table, "float32")), Path(job["vectors"]), "word2vec")
    return {
        "seconds": seconds,
        "cpu_seconds": cpu,
        "words": (blocks.tokens - words.vocabulary.documents) * job["epochs"],  # without the ends of texts
        "reading_seconds": reading,
        "vocabulary": len(words.vocabulary.words),
    }


def write_sentences(corpus: str, path: Path) -> None:
    """The words of each text that are in the vocabulary, a line each: what gensim reads."""
    from kptk.training import backend

    backend.import_keras()
    from kptk_words.token_blocks import texts
    from kptk_words.vocabulary import FIRST
    from kptk_words.words import Words

    source = source_of(CORPORA[corpus])
    words = Words()
    words.fit(source)
    with path.open("w", encoding="utf-8") as file:
        for text in texts(source):
            numbers = words.encode(text) - FIRST
            if len(numbers):
                file.write(" ".join(words.vocabulary.words[number] for number in numbers) + "\n")


GENSIM = """
import json, sys, time
from gensim.models import Word2Vec
job = json.loads(sys.argv[1])
with open(job["sentences"], encoding="utf-8") as file:
    sentences = [line.split() for line in file]
model = Word2Vec(vector_size=100, window=5, min_count=1, sg=int(job["method"] == "skipgram"), negative=5, sample=1e-3,
                 alpha=0.025, min_alpha=0.0001, workers=job["workers"], seed=job["seed"], epochs=job["epochs"])
model.build_vocab(sentences)
start, cpu = time.perf_counter(), time.process_time()
model.train(sentences, total_examples=model.corpus_count, epochs=job["epochs"])
seconds, cpu = time.perf_counter() - start, time.process_time() - cpu
model.wv.save_word2vec_format(job["vectors"])
words = sum(map(len, sentences)) * job["epochs"]
print(json.dumps({"seconds": seconds, "cpu_seconds": cpu, "words": words, "vocabulary": len(model.wv)}))
"""


def run(command: list[str], threads: int) -> dict:
    """Run a process and read the JSON of its last line."""
    names = ("OMP_NUM_THREADS", "TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS")
    env = os.environ | dict.fromkeys(names, str(threads)) | {"TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    return json.loads(done.stdout.splitlines()[-1])


def scores(vectors: Path, tests: Path) -> dict:
    """Spearman's correlations and analogies of a file of vectors."""
    import numpy as np

    from kptk_words.keyed_vectors import KeyedVectors
    from kptk_words.scoring import analogies, similarity

    with vectors.open(encoding="utf-8") as file:
        next(file)
        rows = [line.rstrip("\n").split(" ") for line in file]
    known = KeyedVectors(tuple(row[0] for row in rows), np.array([row[1:] for row in rows], "float32"))
    found = {}
    for name in TESTS:
        result = (analogies if name.startswith("questions") else similarity)(known, tests / name)
        found[name] = {"score": round(result.figure, 4), "scored": result.scored, "asked": result.asked}
    return found


def main() -> None:
    options = arguments()
    if options.one:
        print(json.dumps(train_ours(json.loads(options.one))))
        return
    options.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        tests = options.tests
        if tests.suffix == ".zip":
            zipfile.ZipFile(tests).extractall(folder)
            tests = Path(folder)
        for corpus in options.corpora:
            sentences = Path(folder) / f"{corpus}.txt"
            write_sentences(corpus, sentences)
            for method in options.methods:
                for seed in range(options.seeds):
                    for program in ("kptk", "gensim"):
                        vectors = Path(folder) / f"{program}.vec"
                        job = {"method": method, "seed": seed + 1, "epochs": options.epochs, "corpus": corpus}
                        job |= {"vectors": str(vectors), "sentences": str(sentences), "workers": options.workers}
                        text = json.dumps(job)
                        if program == "kptk":
                            command = [sys.executable, __file__, "--gensim", "", "--tests", "", "--one", text]
                        else:
                            command = [options.gensim, "-c", GENSIM, text]
                        made = run(command, options.workers)
                        kept = {key: job[key] for key in ("corpus", "method", "seed", "epochs", "workers")}
                        record = {"program": program, **kept, **made, "scores": scores(vectors, tests)}
                        vectors.unlink()
                        with (options.out / "runs.jsonl").open("a", encoding="utf-8") as file:
                            file.write(json.dumps(record) + "\n")
                        print(json.dumps(record), flush=True)


if __name__ == "__main__":
    main()

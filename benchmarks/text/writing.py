"""Writing texts: what keeping keys and values saves, against a pass of the whole row for each token.

    python benchmarks/text/writing.py --rounds 3

Networks with random weights that never end a text by themselves, so that both ways write the same number of tokens; both must
write the same ones. They take turns in one process. A ratio is time without over time with, of the process' CPU time, which other
work on the machine disturbs less than the clock; the first call of each, which compiles, is left out.
"""

from __future__ import annotations

import argparse
import statistics
import time
from typing import Any

import numpy as np

NEVER = -1e4
WORDS = 200


def texts(count: int) -> list[str]:
    """Random words."""
    rng = np.random.default_rng(0)
    return [" ".join(f"w{number}" for number in rng.integers(0, WORDS, 6)) for _ in range(count)]


def preprocessor(length: int) -> Any:
    """A vocabulary of the words."""
    import kptk
    from kptk.data import ArraySource
    from kptk.training.examples import objects

    made = kptk.preprocessor("text_tokens", views=1, seed=0, vocabulary=400, length=length)
    made.fit(ArraySource(objects(texts(400)), inputs="text"))
    return made


def causal(length: int, layers: int, width: int, rows: int) -> tuple[Any, Any, Any]:
    """A language model, its prompts, and its writers."""
    import kptk
    from kptk.data import ArraySource
    from kptk.training.examples import objects
    from kptk_text_tasks.samplers import build_sampler
    from kptk_text_tasks.writer import Continuer

    views = preprocessor(length)
    sizes = {"vocabulary": views.tokens.vocabulary, "layers": layers, "width": width, "heads": 4}
    network = kptk.backbone("causal_transformer", input_shape=(length,), **sizes)
    model = kptk.finetune("weight", network, task="generation", preprocessor=views, new_tokens=length // 2)
    never_end(model)
    source = ArraySource(objects([text[: text.index(" ")] for text in texts(rows)]), inputs="text")
    prompts = model.task.prompts(source, views).read(np.arange(rows))
    return model, prompts, lambda keep: Continuer(model, build_sampler("greedy"), keep=keep)


def seq2seq(length: int, layers: int, width: int, rows: int) -> tuple[Any, Any, Any]:
    """An encoder with a decoder, the texts that it reads, and its writers."""
    import kptk
    from kptk_text_tasks.samplers import build_sampler
    from kptk_text_tasks.translator import Translator

    views = preprocessor(64)
    sizes = {"vocabulary": views.tokens.vocabulary, "layers": layers, "width": width, "heads": 4}
    network = kptk.backbone("bert", input_shape=(64,), **sizes)
    options = {"target_length": length, "layers": layers, "heads": 4}
    model = kptk.finetune("encoder_decoder", network, task="seq2seq", preprocessor=views, **options)
    never_end(model)
    read = model.examples(texts(rows)).read(np.arange(rows))
    return model, read, lambda keep: Translator(model, build_sampler("greedy"), keep=keep)


def never_end(model: Any) -> None:
    """Give the token that ends a text a score that no other falls below."""
    bias = np.zeros(model.task.bias.shape, "float32")
    bias[model.preprocessor.tokens.end] = NEVER
    model.task.bias.assign(bias)


def seconds(model: Any, rows: Any) -> float:
    """CPU time of one batch."""
    began = time.process_time()
    model.predict_on_batch(rows)
    return time.process_time() - began


def main() -> None:
    """Print a row of the table for each length."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--lengths", default="32,64,128,256")
    parser.add_argument("--rows", type=int, default=8)
    parser.add_argument("--layers", type=int, default=4)
    parser.add_argument("--width", type=int, default=128)
    told = parser.parse_args()

    from kptk.training import backend

    keras = backend.import_keras()
    print(f"{told.rows} rows, {told.layers} layers of {told.width}, {told.rounds} rounds, {backend.name()}")
    print("| | length | whole passes, s | kept, s | ratio, median [least, most] |")
    print("| --- | ---: | ---: | ---: | ---: |")
    for name, build in (("generation", causal), ("seq2seq", seq2seq)):
        for length in map(int, told.lengths.split(",")):
            keras.utils.set_random_seed(0)
            _, rows, writer = build(length, told.layers, told.width, told.rows)
            whole, kept = writer(False), writer(True)
            if kept.kept is None:
                raise SystemExit("nothing is kept: the network's layers do not allow it")
            if not np.array_equal(whole.predict_on_batch(rows), kept.predict_on_batch(rows)):
                raise SystemExit("the two ways wrote different texts")
            pairs = [(seconds(whole, rows), seconds(kept, rows)) for _ in range(told.rounds)]
            ratios = [a / b for a, b in pairs]
            slow, fast = (statistics.median(column) for column in zip(*pairs, strict=True))
            shown = f"{statistics.median(ratios):.1f} [{min(ratios):.1f}, {max(ratios):.1f}]"
            print(f"| {name} | {length} | {slow:.2f} | {fast:.2f} | {shown} |", flush=True)


if __name__ == "__main__":
    main()

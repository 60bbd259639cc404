"""Tokens a second of a training step of the masked language model, against transformers (PyTorch) with the same configuration.

    python benchmarks/text/speed.py --peer-python PATH_OF_A_PYTHON_WITH_TORCH_AND_TRANSFORMERS

Both train BERT with a masked language model head and AdamW on random tokens, with dropout 0.1, in processes of their own that
take turns; each round is a median of steps. transformers computes logits at every place, as its own recipe does; kptk at the
chosen places. Run it on a quiet machine; nothing is downloaded.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time

import numpy as np

WARM = 3


def measure_kptk(o) -> float:
    from kptk.training import backend

    keras = backend.import_keras()
    import kptk

    texts = np.array(
        [" ".join(f"w{n}" for n in row) for row in np.random.default_rng(0).integers(0, 999, (256, 64))], dtype=object
    )
    layer = kptk.preprocessor("text_tokens", views=1, vocabulary=1200, length=o.length, examples="texts")
    layer.fit(kptk.ArraySource(texts, inputs="text"))
    backbone = kptk.backbone(
        "bert", input_shape=(o.length,), vocabulary=o.vocabulary, layers=o.layers, heads=o.heads, width=o.width
    )
    model = kptk.objective("mlm", backbone=backbone, views=layer)
    model.compile(optimizer=keras.optimizers.AdamW(1e-4))
    rng = np.random.default_rng(0)
    rows = rng.integers(5, layer.tokens.vocabulary, (o.batch * (o.steps + WARM), o.length)).astype("int32")
    times: list[float] = []

    class Clock(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            del batch
            _ = float(logs["loss"])  # wait until the step is done
            times.append(time.perf_counter())

    model.fit(rows, batch_size=o.batch, epochs=1, verbose=0, callbacks=[Clock()])
    return float(np.median(np.diff(times)[WARM:]))


def measure_transformers(o) -> float:
    import torch
    from transformers import BertConfig, BertForMaskedLM

    torch.set_num_threads(o.threads)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=o.vocabulary, hidden_size=o.width, num_hidden_layers=o.layers, num_attention_heads=o.heads,
        intermediate_size=4 * o.width, max_position_embeddings=o.length,
    )  # fmt: skip
    model = BertForMaskedLM(config).train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-4)
    times = []
    for _ in range(o.steps + WARM):
        ids = torch.randint(5, o.vocabulary, (o.batch, o.length))
        chosen = torch.rand(ids.shape) < 0.15
        labels = torch.where(chosen, ids, -100)
        seen = torch.where(chosen & (torch.rand(ids.shape) < 0.8), torch.tensor(4), ids)
        optimizer.zero_grad()
        loss = model(input_ids=seen, attention_mask=torch.ones_like(ids), labels=labels).loss
        loss.backward()
        optimizer.step()
        _ = float(loss)
        times.append(time.perf_counter())
    return float(np.median(np.diff(times)[WARM:]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer-python", default=sys.executable)
    parser.add_argument("--worker", choices=("kptk", "transformers"))
    for name, value in (
        ("layers", 4),
        ("heads", 4),
        ("width", 256),
        ("length", 128),
        ("batch", 16),
        ("vocabulary", 8000),
    ):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=3)
    o = parser.parse_args()
    if o.worker:
        print("SECONDS", {"kptk": measure_kptk, "transformers": measure_transformers}[o.worker](o))
        return
    own = [
        f"--{name}={getattr(o, name)}"
        for name in ("layers", "heads", "width", "length", "batch", "vocabulary", "steps", "threads")
    ]
    rates: dict[str, list[float]] = {"kptk": [], "transformers": []}
    for _ in range(o.rounds):
        for worker, python in (("kptk", sys.executable), ("transformers", o.peer_python)):
            done = subprocess.run(
                [python, __file__, "--worker", worker, *own], capture_output=True, text=True, check=False
            )
            if done.returncode:
                sys.exit(f"{worker} failed:\n{done.stderr[-2000:]}")
            seconds = float(done.stdout.rpartition("SECONDS")[2])
            rates[worker].append(o.batch * o.length / seconds)
            print(f"{worker}: {rates[worker][-1]:,.0f} tokens/s", flush=True)
    best = {worker: float(np.median(values)) for worker, values in rates.items()}
    print(json.dumps({"tokens_per_second": best, "ratio": best["kptk"] / best["transformers"], "protocol": vars(o)}))


if __name__ == "__main__":
    main()

"""Speaks like `kptk.training.compare.worker`, without training: scores come from the seed, failures from the environment."""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path

from kptk.training.compare.worker import die_with_parent

threading.Thread(target=die_with_parent, daemon=True).start()

folder, task = Path(sys.argv[1]), json.loads(sys.argv[2])
log = Path(os.environ["FAKE_LOG"])
print("a library that prints to the error stream", file=sys.stderr)


def say(line: dict) -> None:
    print(json.dumps(line), flush=True)


def record(text: str) -> None:
    with log.open("a") as file:
        file.write(f"{text}\n")


record(f"start {task['arms'][0]} {task['seed']} {task['steps']}")
failing = os.environ.get("FAKE_FAIL", "")
if task["cells"] is None:
    say({"step_seconds": 0.01 if task["arms"][0] == "scratch" else 0.1})
    sys.exit(0)
Path(task["kept"]).parent.mkdir(exist_ok=True)
Path(task["kept"]).write_text("weights")
for arm, labels in task["cells"]:
    if failing == f"{task['arms'][0]}-{task['seed']}" and labels == 5:
        say({"error": "the loss is not a number", "kind": "RunError"})
        sys.exit(1)
    if failing == f"kill-{task['arms'][0]}-{task['seed']}" and labels == 5:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(float(os.environ.get("FAKE_SECONDS", "0")))
    record(f"cell {arm} {labels} {task['seed']}")
    facts = {"seconds": 1.0, "steps": task["steps"], "parameters": 10}
    test = 0.5 + 0.01 * task["seed"] + (0.1 if arm.startswith("contrastive") else 0.0)
    cell = {"arm": arm, "labels_per_class": labels, "seed": task["seed"], "validation": 0.5, "test": test}
    say({"cell": {**cell, "chosen": "", "facts": facts}})

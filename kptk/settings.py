"""The options of the core's own sections: `[train]`, `[data]` and `[probe]` of a configuration."""

from __future__ import annotations

from kptk.spec import Option

PROTOCOLS = ("knn", "linear", "few-label", "retrieval", "rank", "alignment", "lp-ft", "corruptions", "pgd")
"""How an encoder can be judged; one file each in `kptk.training.protocols`."""
QUICK_PROTOCOLS = PROTOCOLS[:6]
"""Those that need one pass of the encoder over the labelled rows: what `kptk evaluate` does unless told otherwise."""
CORRUPTIONS = ("gaussian_noise", "impulse_noise", "gaussian_blur", "contrast", "brightness", "pixelate", "jpeg")
"""What is done to images, see `kptk.training.corrupt`."""
LABELS_PER_CLASS = (1, 5, 10)
EPSILONS = (0.05, 0.1, 0.2)

TRAIN: tuple[Option, ...] = (
    Option(name="epochs", type=int, default=20, low=1, help="Passes over the data."),
    Option(name="batch_size", type=int, default=256, low=1, help="Examples a step."),
    Option(name="seed", type=int, default=0, low=0, help="Decides initial weights, views and data order."),
    Option(
        name="optimizer",
        type=str,
        default="adamw",
        choices=("adamw", "adam", "sgd", "adagrad"),
        help="Keras optimiser.",
    ),
    Option(name="momentum", default=0.9, low=0.0, high=1.0, help="Of sgd; at 0 only rows that a step used change."),
    Option(name="learning_rate", default=1e-3, low=0.0, help="Peak learning rate at a batch of 256."),
    Option(
        name="lr_scaling",
        type=str,
        default="sqrt",
        choices=("none", "sqrt", "linear"),
        help="How the learning rate grows with batch_size / 256.",
    ),
    Option(
        name="schedule", type=str, default="cosine", choices=("cosine", "linear", "constant"), help="After warm-up."
    ),
    Option(name="warmup", default=0.1, low=0.0, high=1.0, help="Fraction of the steps spent warming up."),
    Option(name="weight_decay", default=1e-4, low=0.0, help="Decoupled; not on biases and normalisation."),
    Option(name="clip_norm", default=0.0, low=0.0, help="Largest norm of the whole gradient; 0 for no limit."),
    Option(
        name="dtype",
        type=str,
        default="float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        help="Keras dtype policy.",
    ),
    Option(name="jit", type=str, default="auto", choices=("auto", "on", "off"), help="Compile with XLA."),
    Option(name="deterministic", type=bool, default=True, help="Same seed, same bits, on this machine."),
    Option(
        name="checkpoint_every",
        type=int,
        default=0,
        low=0,
        help="Steps between checkpoints besides the one after each epoch; 0 for none.",
    ),
    Option(
        name="stop_on",
        type=str,
        default="nan",
        choices=("nan", "collapse", "never"),
        help="Stop early when the loss is not a number, or also when the features collapse.",
    ),
)

DATA: tuple[Option, ...] = (
    Option(name="path", type=str, default="", help="Folder or file of your own, read by the reader `name`."),
    Option(
        name="part",
        type=str,
        default="",
        help="Use only this part: train, test, validation, or all; empty: train, with test kept for tests.",
    ),
    Option(name="fraction", default=1.0, above=0.0, high=1.0, help="Use only this share, of each class if labelled."),
    Option(name="limit", type=int, default=0, low=0, help="Use only this many examples, drawn at random; 0 for all."),
    Option(
        name="cache",
        type=str,
        default="none",
        choices=("none", "memory", "disk"),
        help="Keep decoded images after the first reading, in memory or a temporary file.",
    ),
)

PROBE: tuple[Option, ...] = (
    Option(
        name="data",
        type=str,
        default="",
        help="Labelled set for a kNN check while training: a path or a name; 'holdout' for the data set's own "
        "test part; empty for none.",
    ),
    Option(name="every", type=int, default=1, low=1, help="Epochs between checks."),
    Option(name="limit", type=int, default=2000, low=20, help="Examples used at most."),
)

FINETUNE: tuple[Option, ...] = (
    Option(
        name="epochs",
        type=int,
        default=0,
        low=0,
        help="Passes over the labelled rows in all phases; 0: as many as make 300 steps, but 5 to 100.",
    ),
    Option(name="batch_size", type=int, default=32, low=1, help="Examples a step."),
    Option(name="seed", type=int, default=0, low=0, help="Decides the labelled rows, the head and the data order."),
    Option(
        name="labels_per_class", type=int, default=0, low=0, help="Labelled rows of each class in all; 0: every one."
    ),
    Option(
        name="validation",
        default=0.2,
        low=0.0,
        high=0.9,
        help="Fraction of the labelled rows that choose the best epoch and never train; 0 for none.",
    ),
    Option(
        name="patience", type=int, default=0, low=0, help="Stop after so many epochs without a better one; 0: never."
    ),
    Option(name="augment", type=bool, default=False, help="Train on a random view of each example."),
    Option(name="optimizer", type=str, default="adamw", choices=("adamw", "adam", "sgd"), help="Keras optimiser."),
    Option(name="learning_rate", default=1e-3, low=0.0, help="Peak learning rate; a phase may multiply it."),
    Option(
        name="schedule", type=str, default="cosine", choices=("cosine", "linear", "constant"), help="In each phase."
    ),
    Option(name="warmup", default=0.1, low=0.0, high=1.0, help="Fraction of each phase spent warming up."),
    Option(name="weight_decay", default=1e-4, low=0.0, help="Decoupled; not on biases and normalisation."),
    Option(name="clip_norm", default=0.0, low=0.0, help="Largest norm of the whole gradient; 0 for no limit."),
    Option(
        name="dtype",
        type=str,
        default="float32",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        help="Keras dtype policy.",
    ),
    Option(name="deterministic", type=bool, default=True, help="Same seed, same bits, on this machine."),
    Option(
        name="checkpoint_every",
        type=int,
        default=0,
        low=0,
        help="Steps between checkpoints besides the one after each epoch; 0 for none.",
    ),
)
"""The `[train]` section of a fine-tuning."""

COMPARE: tuple[Option, ...] = (
    Option(
        name="labels_per_class",
        type=str,
        default="1,5,10,all",
        help="Labelled rows of each class, several numbers; 'all' for every row that is left.",
    ),
    Option(
        name="seeds", type=int, default=5, low=1, help="How often everything is drawn anew; 5 and more say something."
    ),
    Option(name="first_seed", type=int, default=0, low=0, help="The first of the seeds."),
    Option(
        name="budget",
        type=str,
        default="20epochs",
        help="Pre-training of each arm: steps, epochs of the pool, or time ('700steps', '20epochs', '5minutes').",
    ),
    Option(name="batch_size", type=int, default=128, low=1, help="Examples a step of pre-training."),
    Option(name="finetune_steps", type=int, default=300, low=3, help="Steps on labelled rows; scratch has them too."),
    Option(
        name="ways",
        type=str,
        default="frozen,lp-ft",
        help="How arms use labels: frozen, lp-ft, full-ft, knn, or a strategy's full id; the best on validation rows counts.",
    ),
    Option(name="rates", type=str, default="0.001,0.0003", help="Learning rates that fine-tuning chooses among."),
    Option(
        name="scratch_rates",
        type=str,
        default="0.003,0.001,0.0003",
        help="Those that training from scratch chooses among.",
    ),
    Option(
        name="split",
        type=str,
        default="own",
        choices=("own", "seed"),
        help="Test rows: the data's own test part if it has one, or drawn anew by each seed.",
    ),
    Option(name="test_rows", type=int, default=2000, low=0, help="Test rows at most; 0 for all of an own test part."),
    Option(
        name="validation_per_class", type=int, default=10, low=1, help="Rows of each class for every arm's choices."
    ),
    Option(name="margin", default=1.0, low=0.0, help="Points within which a difference counts as none."),
)
"""The options of a comparison."""

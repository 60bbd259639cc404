"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import ComparisonSpec, ObjectiveSpec, Option, RecipeSpec, hookimpl

_BERT = ("https://arxiv.org/abs/1810.04805",)
_TEXT = ("text",)
_RATE = Option(name="rate", default=0.15, above=0.0, high=0.9, help="Share of a row's tokens that is predicted.")
_MASKING = (
    _RATE,
    Option(name="hidden", default=0.8, low=0.0, high=1.0, help="Share of these that becomes the mask."),
    Option(name="replaced", default=0.1, low=0.0, high=1.0, help="Share that becomes any word; the rest stays."),
    Option(name="whole_words", type=bool, default=False, help="Choose the pieces of a word together."),
)


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer masked, paired, replaced, contrasted, next and distilled tokens."""
    yield ObjectiveSpec(
        name="mlm",
        aliases=("masked_text",),
        target="kptk_language.mlm:MLM",
        summary="Masked language model: predicts hidden tokens from the others.",
        options=_MASKING,
        inputs=_TEXT,
        chance="ln V for V tokens",
        cost="about a supervised step: logits only at the hidden places",
        when="The usual choice for encoders of text that will be fine-tuned.",
        references=(*_BERT, "https://arxiv.org/abs/1907.11692"),
        since="0.2.0",
    )
    yield ObjectiveSpec(
        name="nsp",
        target="kptk_language.nsp:NSP",
        summary="Tells whether a segment follows another, or whether they were swapped.",
        inputs=_TEXT,
        suggests={"backbone.pool": "cls"},
        chance="ln 2",
        cost="a supervised step",
        when="Beside mlm for tasks about pairs of texts; alone it teaches little about words.",
        references=(*_BERT, "https://arxiv.org/abs/1909.11942"),
        since="0.2.0",
    )
    yield ObjectiveSpec(
        name="bert",
        target="kptk_language.bert:BERT",
        summary="BERT: hidden tokens and next-sentence prediction in one step.",
        options=(*_MASKING, Option(name="pair_weight", default=1.0, low=0.0, help="Weight of the loss of the pairs.")),
        inputs=_TEXT,
        suggests={"backbone.pool": "cls"},
        chance="ln V + ln 2 for V tokens",
        cost="as mlm",
        when="Encoders for tasks about pairs of texts.",
        references=_BERT,
        since="0.2.0",
    )
    yield ObjectiveSpec(
        name="electra",
        target="kptk_language.electra:Electra",
        summary="Finds the tokens that a small generator replaced; learns from all.",
        options=(
            _RATE,
            Option(
                name="generator_width", type=int, default=0, low=0, help="Of the generator; 0: half the backbone's."
            ),
            Option(name="generator_depth", type=int, default=1, low=1, help="Layers of the generator."),
            Option(name="generator_heads", type=int, default=2, low=1, help="Attention heads of the generator."),
            Option(
                name="discriminator_weight",
                default=50.0,
                above=0.0,
                help="Of the backbone's loss; the generator's is 1.",
            ),
            Option(name="epsilon", default=0.0, low=0.0, help="Also learn on vectors moved against it, by this share."),
        ),
        inputs=_TEXT,
        chance="ln V, and 50 times the entropy of a coin that falls on replaced in 15 % of the throws",
        cost="about one and a half steps of mlm",
        when="Small encoders and short budgets: every token teaches, not only the hidden ones.",
        references=("https://arxiv.org/abs/2003.10555", "https://arxiv.org/abs/1605.07725"),
        since="0.2.0",
    )
    yield ObjectiveSpec(
        name="simcse",
        target="kptk_language.simcse:SimCSE",
        summary="SimCSE: a text agrees with itself under another dropout.",
        options=(
            Option(name="temperature", default=0.05, above=0.0, help="Softmax temperature."),
            Option(name="projection", type=bool, default=True, help="A dense layer between features and loss."),
        ),
        inputs=_TEXT,
        min_batch=2,
        chance="ln N for N texts a step",
        cost="about twice a supervised step: each text is encoded twice",
        when="Vectors of sentences for search and clustering; best after mlm.",
        references=("https://arxiv.org/abs/2104.08821",),
        since="0.2.0",
    )
    yield ObjectiveSpec(
        name="causal",
        aliases=("causal_lm",),
        target="kptk_language.causal:Causal",
        summary="Causal language model: each token from those before it.",
        inputs=_TEXT,
        chance="ln V for V tokens",
        cost="a supervised step, with logits at every place",
        when="Generating text; features that have seen everything before a token.",
        references=(
            "https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
        ),
        since="0.2.0",
    )
    yield ObjectiveSpec(
        name="text_distill",
        aliases=("distilbert",),
        target="kptk_language.text_distill:TextDistill",
        summary="DistilBERT's recipe: a small model fills places like a large one.",
        options=(
            Option(name="teacher", type=str, default="", objects=True, help="Folder of a run of mlm or bert."),
            Option(name="temperature", default=2.0, above=0.0, help="Softens the guesses of both."),
            Option(name="soft_weight", default=5.0, low=0.0, help="Weight of the teacher's guesses."),
            Option(name="hard_weight", default=2.0, low=0.0, help="Weight of the hidden tokens."),
            Option(name="cosine_weight", default=1.0, low=0.0, help="Weight of the angle between the two's vectors."),
            Option(name="copy_layers", type=bool, default=True, help="Begin with evenly spaced layers of the teacher."),
            _RATE,
        ),
        inputs=_TEXT,
        needs=("teacher",),
        cost="a step of mlm and a pass of the teacher",
        when="A trained masked language model is there and too large for where it has to run.",
        references=("https://arxiv.org/abs/1910.01108",),
        since="0.2.0",
    )


_SETTINGS = {
    "train.epochs": 20,
    "train.batch_size": 64,
    "train.learning_rate": 2e-3,
    "train.weight_decay": 0.01,
    "train.clip_norm": 1.0,
    "probe.data": "text/home_intents",
}


def _recipe(name: str, summary: str, **more: object) -> RecipeSpec:
    settings = {**_SETTINGS, **more.pop("settings", {})}  # type: ignore[dict-item]
    backbone = str(more.pop("backbone", "text/bert"))
    return RecipeSpec(
        name=name,
        summary=summary,
        objective=f"language/{name}",
        backbone=backbone,
        preprocessor="text/text_tokens",
        dataset="text/wiki_mini",
        settings=settings,
        **more,  # type: ignore[arg-type]
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer each objective on the bundled Wikipedia articles with a small Transformer."""
    pairs = {"preprocessor.examples": "next", "data.rows": "article", "backbone.pool": "cls"}
    yield _recipe(
        "mlm",
        "Masked language model on Wikipedia articles, 2 layers of 128.",
        instead_of="masked/masked",
        references=_BERT,
    )
    yield _recipe("nsp", "Next-sentence prediction on Wikipedia articles.", settings=pairs, references=_BERT)
    yield _recipe("bert", "BERT's two tasks on Wikipedia articles.", settings=pairs, references=_BERT)
    yield _recipe(
        "electra", "ELECTRA on Wikipedia articles, 2 layers of 128.", references=("https://arxiv.org/abs/2003.10555",)
    )
    yield _recipe(
        "simcse",
        "Sentence vectors of Wikipedia's sentences by dropout alone.",
        settings={"preprocessor.examples": "sentences", "preprocessor.length": 32, "train.epochs": 3},
        instead_of="contrastive/contrastive",
        references=("https://arxiv.org/abs/2104.08821",),
    )
    yield _recipe(
        "causal",
        "Causal language model on Wikipedia articles, 2 layers of 128.",
        backbone="text/causal_transformer",
        references=("https://arxiv.org/abs/1706.03762",),
    )
    yield _recipe(
        "text_distill",
        "A masked language model into a smaller one; name the teacher.",
        settings={"backbone.layers": 1},
        references=("https://arxiv.org/abs/1910.01108",),
    )


@hookimpl
def kptk_comparisons() -> Iterator[ComparisonSpec]:
    """Offer the comparison of BERT's two tasks."""
    # The same pairs of segments for every arm, so that only the objective differs; and one network, pooled by the mean.
    same = {
        "preprocessor": "text/text_tokens",
        "settings": {
            "preprocessor.examples": "next",
            "preprocessor.length": 32,
            "preprocessor.vocabulary": 4000,
            "backbone.width": 64,
            "train.learning_rate": 2e-3,
            "train.weight_decay": 0.01,
            "train.clip_norm": 1.0,
        },
    }
    arms = {name: {"objective": f"language/{name}", "pretrain": ["source"], **same} for name in ("mlm", "nsp", "bert")}
    yield ComparisonSpec(
        name="mlm_vs_nsp",
        summary="Hidden words, next sentences, both, or neither, on the same pairs.",
        arms={**arms, "scratch": {"objective": "scratch", **same}},
        data="text/home_intents",
        source="text/wiki_mini",
        settings={
            "source.rows": "article",
            "labels_per_class": "1,5,20",
            "budget": "4000steps",
            "batch_size": 64,
            "ways": "frozen,lp-ft",
        },
        advice=(
            "Published: next-sentence prediction helps tasks about pairs of texts (BERT, table 5), and RoBERTa found dropping it "
            "no worse. Below some thousand steps neither teaches a small network much."
        ),
        references=("https://arxiv.org/abs/1810.04805", "https://arxiv.org/abs/1907.11692"),
        since="0.2.0",
    )

"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import ComparisonSpec, Option, StrategySpec, hookimpl

_TARGET = Option(
    name="target", type=str, default="", objects=True, help="Unlabelled rows of the target domain: a path or a name."
)
_HEAD_FIRST = Option(
    name="head_share", default=0.5, low=0.0, high=0.95, help="Epochs of the head alone at first; 0 for none."
)
_ULMFIT = "https://arxiv.org/abs/1801.06146"


@hookimpl
def kptk_strategies() -> Iterator[StrategySpec]:
    """Offer the ways to fine-tune."""
    yield StrategySpec(
        name="lp_ft",
        target="kptk_finetune.lp_ft:LpFt",
        summary="The head on frozen features first, then all weights.",
        options=(
            Option(name="head_share", default=0.5, low=0.05, high=0.95, help="Fraction of the epochs for the head."),
            Option(name="head_rate", default=10.0, above=0.0, help="Factor on the learning rate of the head's phase."),
            Option(name="rate", default=0.3, above=0.0, help="Factor on the learning rate once all train."),
        ),
        references=("https://arxiv.org/abs/2202.10054",),
        cost="less than all weights: the head's phase is nearly free",
        when="The default.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="weight",
        aliases=("full",),
        target="kptk_finetune.weight:WeightTuning",
        summary="All weights; lower layers more slowly or later if wished.",
        options=(
            Option(
                name="decay", default=1.0, low=1.0, help="How much slower each lower layer learns; 1: all the same."
            ),
            Option(name="unfreeze", type=int, default=1, low=1, help="Groups of layers that begin to train in turn."),
            Option(name="slanted", type=bool, default=False, help="Slanted triangular learning rate."),
        ),
        references=(_ULMFIT,),
        cost="a training step as from scratch",
        when="Hundreds of labels a class, or a task unlike the pre-training.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="feature_extraction",
        aliases=("frozen",),
        target="kptk_finetune.feature_extraction:FeatureExtraction",
        summary="A new head on features that are computed once.",
        options=(Option(name="rate", default=10.0, above=0.0, help="Factor on the learning rate."),),
        references=("https://arxiv.org/abs/1310.1531",),
        cost="one pass over the data; seconds",
        when="A handful of labels a class, or many tasks on one backbone.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="bitfit",
        target="kptk_finetune.bitfit:BitFit",
        summary="Biases and the head; kernels keep their bits.",
        options=(_HEAD_FIRST, Option(name="rate", default=3.0, above=0.0, help="Factor on the learning rate.")),
        references=("https://arxiv.org/abs/2106.10199",),
        cost="nearly a full step, a thousandth of the weights to keep",
        when="One backbone for many tasks; small to medium data.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="lora",
        target="kptk_finetune.lora:Lora",
        summary="Low-rank changes of the kernels, merged exactly.",
        options=(
            Option(name="rank", type=int, default=4, low=1, help="Rank of the change."),
            Option(name="alpha", default=8.0, above=0.0, help="Scale of the change."),
            _HEAD_FIRST,
            Option(name="layers", type=str, default="", help="Only layers whose path has one of these parts."),
        ),
        references=("https://arxiv.org/abs/2106.09685",),
        cost="nearly a full step, a few per cent of the weights to keep",
        when="Large backbones, several tasks.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="few_shot",
        aliases=("prototypes",),
        target="kptk_finetune.few_shot:FewShot",
        summary="The mean feature of each class; nothing is trained.",
        options=(
            Option(name="metric", type=str, default="cosine", choices=("cosine", "euclidean"), help="Nearness."),
            Option(name="temperature", default=0.1, above=0.0, help="Divides the logits."),
        ),
        references=("https://arxiv.org/abs/1703.05175",),
        cost="one pass over the rows",
        when="One to five labels a class, or classes that change daily.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="distillation",
        aliases=("student",),
        target="kptk_finetune.distillation:Distillation",
        summary="A small backbone learns from a large fine-tuned model.",
        options=(
            Option(
                name="teacher",
                type=str,
                default="",
                objects=True,
                help="Folder or .keras file of a fine-tuning on these classes.",
            ),
            Option(name="temperature", default=4.0, above=0.0, help="Softens both sides' probabilities."),
            Option(name="hard_weight", default=0.1, low=0.0, high=1.0, help="Weight of the labels."),
        ),
        needs=("teacher",),
        references=("https://arxiv.org/abs/1503.02531",),
        cost="a step of the student and a forward pass of the teacher",
        when="A large model is good and a small one must do its work.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="encoder_decoder",
        aliases=("unet",),
        target="kptk_finetune.encoder_decoder:EncoderDecoder",
        summary="A new decoder on the encoder, for dense tasks and for texts.",
        options=(
            Option(name="filters", type=int, default=16, low=4, help="Channels of the decoder's largest map."),
            Option(
                name="decoder_share", default=0.5, low=0.05, high=0.95, help="Fraction of the epochs for the decoder."
            ),
            Option(name="encoder_rate", default=0.1, above=0.0, high=1.0, help="Factor on the encoder's rate."),
            Option(name="layers", type=int, default=2, low=1, help="Blocks of a decoder for texts."),
            Option(name="heads", type=int, default=2, low=1, help="Attention heads of a decoder for texts."),
            Option(name="dropout", default=0.1, low=0.0, high=0.9, help="Fraction dropped in a decoder for texts."),
        ),
        inputs=("image", "text"),
        features="map",
        writes=True,
        references=("https://arxiv.org/abs/1505.04597", "https://arxiv.org/abs/1907.12461"),
        cost="two to four times a classifier's step",
        when="Segmentation, denoising: an answer for each pixel. A text from a text: seq2seq.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="soft_sharing",
        target="kptk_finetune.soft_sharing:SoftSharing",
        summary="Several tasks: shared kernels, biases of its own for each.",
        options=(
            Option(
                name="train",
                type=str,
                default="all",
                choices=("all", "biases"),
                help="Everything, or only biases and heads on kept kernels.",
            ),
        ),
        several=True,
        references=("https://arxiv.org/abs/2106.10199",),
        cost="a pass through the network for each task",
        when="Related tasks that hard sharing makes worse.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="twin_networks",
        aliases=("twins",),
        target="kptk_finetune.twin_networks:TwinNetworks",
        summary="Several tasks: a network each, held together by their distance.",
        options=(Option(name="strength", default=0.001, low=0.0, help="Of the pull; 0 learns the tasks apart."),),
        several=True,
        references=("https://doi.org/10.3115/v1/P15-2139",),
        cost="a network for each task, in memory and in time",
        when="Tasks that need different features and still have something in common.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="task_embeddings",
        target="kptk_finetune.task_embeddings:TaskEmbeddings",
        summary="Several tasks: one trunk, and a learned vector for each that gates it.",
        options=(
            Option(
                name="mode",
                type=str,
                default="film",
                choices=("film", "add", "prepend"),
                help="Gate or shift hidden layers, or stand before a sequence.",
            ),
            Option(name="dim", type=int, default=16, low=1, help="Length of a task's vector."),
            Option(name="tokens", type=int, default=1, low=1, help="Tokens of a task before a sequence."),
            Option(name="layers", type=str, default="", help="Parts of layers' names, by commas; empty: all that fit."),
            Option(
                name="train", type=str, default="all", choices=("all", "embeddings"), help="Or keep the trunk as it is."
            ),
        ),
        several=True,
        references=("https://arxiv.org/abs/1709.07871", "https://arxiv.org/abs/2104.08691"),
        cost="a pass through the network for each task",
        when="Many related tasks, each with few weights of its own.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="dann",
        target="kptk_finetune.dann:Dann",
        summary="Domain adaptation: features that a domain classifier cannot tell apart.",
        options=(
            _TARGET,
            Option(name="weight", default=0.1, low=0.0, help="Of the domain classifier's loss."),
            Option(name="units", type=int, default=100, low=1, help="Hidden width of the domain classifier."),
            Option(name="annealed", type=bool, default=False, help="The paper's learning rate instead of the run's."),
        ),
        needs=("target",),
        references=("https://arxiv.org/abs/1505.07818",),
        cost="twice as many rows in a step",
        when="Labels in one domain, only rows in the one that counts.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="coral",
        target="kptk_finetune.coral:Coral",
        summary="Domain adaptation: features of one covariance in both domains.",
        options=(_TARGET, Option(name="weight", default=100.0, low=0.0, help="Of the distance of covariances.")),
        needs=("target",),
        references=("https://arxiv.org/abs/1607.01719",),
        cost="twice as many rows in a step",
        when="As dann, where that is unsteady.",
        since="0.1.0",
    )
    yield StrategySpec(
        name="mmd",
        target="kptk_finetune.mmd:Mmd",
        summary="Domain adaptation: features of one distribution in both domains.",
        options=(
            _TARGET,
            Option(name="weight", default=1.0, low=0.0, help="Of the discrepancy."),
            Option(name="gamma", default=0.0, low=0.0, help="Of the kernel; 0: by the batch's mean distance."),
        ),
        needs=("target",),
        references=("https://arxiv.org/abs/1502.02791",),
        cost="twice as many rows in a step",
        when="As coral, where more than the covariance differs.",
        since="0.1.0",
    )


@hookimpl
def kptk_comparisons() -> Iterator[ComparisonSpec]:
    """Offer the comparisons that ask how to fine-tune, and from what."""
    ways = ("feature_extraction", "few_shot", "bitfit", "lora", "lp_ft", "weight")
    yield ComparisonSpec(
        name="strategies",
        summary="Ways to fine-tune, side by side, from one pre-trained encoder.",
        arms={way: {"ways": [f"finetune/{way}"]} for way in ways} | {"scratch": {"objective": "scratch"}},
        objective="contrastive/contrastive",
        data="vision/mnist10k",
        baseline="weight",
        settings={"labels_per_class": "1,5,50", "budget": "10epochs"},
        references=("https://arxiv.org/abs/2202.10054", _ULMFIT),
        since="0.1.0",
    )
    yield ComparisonSpec(
        name="transfer_scenarios",
        summary="Pre-training on the task's data, other data, or one after the other.",
        arms={
            "task_specific": {"pretrain": ["own"]},
            "source_only": {"pretrain": ["source"]},
            "domain_adaptation": {"pretrain": ["source", "own"]},
            "small_budget": {"pretrain": ["own"], "share": 0.1},
            "scratch": {"objective": "scratch"},
        },
        objective="contrastive/contrastive",
        data="",
        settings={"labels_per_class": "1,5,20", "budget": "600steps"},
        references=("https://arxiv.org/abs/2004.10964",),
        since="0.1.0",
    )

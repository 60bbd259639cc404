"""What this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import (
    BackboneSpec,
    ComparisonSpec,
    DatasetSpec,
    ObjectiveSpec,
    Option,
    PreprocessorSpec,
    RecipeSpec,
    hookimpl,
)
from kptk_tables.ready import PREPROCESSING

_HIDDEN = Option(name="hidden_dim", type=int, default=256, low=1, help="Width of the decoder's hidden layer.")
_GROUPS = Option(
    name="groups", type=str, default="", help="Features of each column, 1,1,7; empty: filled in from the preprocessor."
)
_CELL_CHANCE = "the mean over columns of a number's variance or a category's entropy"


@hookimpl
def kptk_objectives() -> Iterator[ObjectiveSpec]:
    """Offer SCARF, masked cells and a denoising autoencoder."""
    yield ObjectiveSpec(
        name="scarf",
        target="kptk_tables.scarf:Scarf",
        summary="SCARF: a row and a copy with most columns of other rows agree.",
        options=(
            Option(name="temperature", default=1.0, above=0.0, help="Softmax temperature."),
            Option(name="projection_dim", type=int, default=256, low=2, help="Length of the compared vectors."),
            Option(name="hidden_dim", type=int, default=256, low=1, help="Width of the projector's hidden layer."),
        ),
        inputs=("table",),
        views=2,
        min_batch=2,
        suggests={"preprocessor.anchor": "clean"},
        chance="ln(2N - 1) for N rows a step",
        cost="about twice a supervised step: two views",
        when="Few labels and many unlabelled rows whose columns depend on each other.",
        references=("https://arxiv.org/abs/2106.15147",),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="masked_cells",
        target="kptk_tables.masked_cells:MaskedCells",
        summary="Hidden cells of a row are predicted from the others.",
        options=(
            Option(name="amount", default=0.3, above=0.0, high=1.0, help="Share of the columns that are hidden."),
            _HIDDEN,
        ),
        inputs=("table",),
        views=1,
        suggests={"preprocessor.anchor": "clean"},
        chance=_CELL_CHANCE,
        cost="about a supervised step",
        when="Missing cells are usual, or columns tell each other.",
        references=(
            "https://arxiv.org/abs/1810.04805",
            "https://proceedings.neurips.cc/paper/2020/hash/7d97667a3e056acab9aaf653807b4a03-Abstract.html",
        ),
        since="0.1.0",
    )
    yield ObjectiveSpec(
        name="table_autoencoder",
        target="kptk_tables.table_autoencoder:TableAutoencoder",
        summary="From a row with cells of other rows to the clean row.",
        options=(_HIDDEN,),
        inputs=("table",),
        views=2,
        suggests={"preprocessor.anchor": "clean", "preprocessor.corruption": 0.2},
        chance=_CELL_CHANCE,
        cost="about a supervised step",
        when="You want codes of rows, or cells restored.",
        references=("https://doi.org/10.1145/1390156.1390294",),
        since="0.1.0",
    )


@hookimpl
def kptk_backbones() -> Iterator[BackboneSpec]:
    """Offer a perceptron and a Transformer."""
    yield BackboneSpec(
        name="table_mlp",
        target="kptk_tables.table_mlp:table_mlp",
        summary="Dense layers with batch normalisation, for tables.",
        options=(
            Option(name="units", type=int, default=256, low=1, help="Width of each layer, length of the features."),
            Option(name="depth", type=int, default=3, low=1, help="Number of dense layers."),
            Option(name="batch_norm", type=bool, default=True, help="Batch normalisation before each activation."),
            Option(name="dropout", default=0.0, low=0.0, high=0.95, help="Fraction dropped after each activation."),
            Option(
                name="embedding", type=int, default=0, low=0, help="Length of a category's learned vector; 0: none."
            ),
            _GROUPS,
        ),
        inputs="table",
        since="0.1.0",
    )
    yield BackboneSpec(
        name="ft_transformer",
        target="kptk_tables.ft_transformer:ft_transformer",
        summary="FT-Transformer: a token for each column.",
        options=(
            Option(name="width", type=int, default=64, low=1, help="Length of a token; a multiple of the heads."),
            Option(name="depth", type=int, default=2, low=1, help="Blocks."),
            Option(name="heads", type=int, default=4, low=1, help="Attention heads of a block."),
            Option(name="dropout", default=0.0, low=0.0, high=0.95, help="Fraction dropped in each block."),
            _GROUPS,
        ),
        inputs="table",
        references=("https://arxiv.org/abs/2106.11959",),
        since="0.1.0",
    )


@hookimpl
def kptk_preprocessors() -> Iterator[PreprocessorSpec]:
    """Offer the preprocessor of tables."""
    scalings = ("standard", "minmax", "robust", "maxabs", "quantile", "uniform", "none")
    yield PreprocessorSpec(
        name="table",
        target="kptk_tables.table:Table",
        summary="Scaling, encoding, imputation, date parts; corrupted views.",
        options=(
            Option(name="scaling", type=str, default="standard", choices=scalings, help="Of numbers."),
            Option(name="low", default=0.0, help="Lower end of the min-max range."),
            Option(name="high", default=1.0, help="Upper end of the min-max range."),
            Option(
                name="categories",
                type=str,
                default="onehot",
                choices=("onehot", "ordinal", "binary", "hashed"),
                help="Encoding of names.",
            ),
            Option(
                name="max_categories",
                type=int,
                default=100,
                low=1,
                help="Names of a column with a code, the commonest.",
            ),
            Option(name="buckets", type=int, default=32, low=2, help="Of hashed names."),
            Option(
                name="unknown",
                type=str,
                default="zeros",
                choices=("zeros", "other", "error"),
                help="Names without a code: nothing, one code for all, or refuse.",
            ),
            Option(
                name="missing",
                type=str,
                default="median",
                choices=("median", "mean", "most_frequent", "zero", "error"),
                help="What stands for a missing number.",
            ),
            Option(
                name="missing_category",
                type=str,
                default="own",
                choices=("own", "zeros"),
                help="A missing name is a category of its own, or nothing.",
            ),
            Option(name="indicators", type=bool, default=True, help="A feature that says that a number was missing."),
            Option(name="corruption", default=0.6, low=0.0, high=1.0, help="Share of the columns replaced in a view."),
            Option(
                name="anchor",
                type=str,
                default="corrupted",
                choices=("corrupted", "clean"),
                help="Whether the first view is corrupted, too.",
            ),
        ),
        inputs="table",
        fits=True,
        references=("https://arxiv.org/abs/2106.15147",),
        since="0.1.0",
    )


@hookimpl
def kptk_datasets() -> Iterator[DatasetSpec]:
    """Offer two named tables and the reader of files."""
    yield DatasetSpec(
        name="adult",
        target="kptk_tables.adult:adult",
        summary="32,561 people, 13 columns, income: 26,049 and 6,512 for tests.",
        inputs="table",
        labels=True,
        samples=26049,
        licence="CC BY 4.0",
        since="0.1.0",
    )
    yield DatasetSpec(
        name="breast_cancer",
        target="kptk_tables.breast_cancer:breast_cancer",
        summary="569 tumours, 30 numbers, 2 classes: 427 and 142 for tests.",
        inputs="table",
        labels=True,
        samples=427,
        licence="CC BY 4.0, from scikit-learn",
        since="0.1.0",
    )
    yield DatasetSpec(
        name="table_file",
        target="kptk_tables.table_file:table_file",
        summary="A table in CSV, TSV, JSON Lines, Parquet, NumPy or HDF5.",
        options=(
            Option(name="label", type=str, default="", help="Column of the labels; it is then no input."),
            Option(name="types", type=str, default="", help="Kinds of columns, age:number,zip:category."),
            Option(name="drop", type=str, default="", help="Columns to leave out, with commas between."),
            Option(
                name="split", type=str, default="", help="Column of train and test; the latter become the test part."
            ),
            Option(name="table", type=str, default="", help="Of NumPy or HDF5: the array, or the group of columns."),
            Option(
                name="delimiter", type=str, default="auto", help="Between cells: a character, or its name such as tab."
            ),
            Option(name="encoding", type=str, default="utf-8", help="Of a text file, such as latin-1."),
            Option(
                name="decimal", type=str, default="point", choices=("point", "comma"), help="Decimal mark of numbers."
            ),
            Option(
                name="missing", type=str, default="", help="More cells that mean nothing known, with commas between."
            ),
            Option(
                name="absent",
                type=str,
                default="error",
                choices=("error", "ignore"),
                help="What to do with a column that an option names and the table lacks.",
            ),
            Option(
                name="on_bad_input",
                type=str,
                default="error",
                choices=("error", "skip"),
                help="Refuse a bad row, or leave it out and list it.",
            ),
        ),
        inputs="table",
        labels=True,
        reads=(
            *(
                f"{form}{packed}"
                for form in (".csv", ".tsv", ".jsonl", ".ndjson")
                for packed in ("", ".gz", ".xz", ".bz2")
            ),
            *(".parquet", ".npz", ".npy", ".h5", ".hdf5"),
        ),
        refuses="kptk_tables.array_layout:refuses",
        since="0.1.0",
    )


@hookimpl
def kptk_recipes() -> Iterator[RecipeSpec]:
    """Offer each objective on the bundled people, and SimCLR for tables."""
    recipes = (
        ("scarf", "tables/scarf", "SCARF with a perceptron on the bundled people.", ""),
        (
            "masked_cells",
            "tables/masked_cells",
            "Masked cells with a perceptron on the bundled people.",
            "masked/masked",
        ),
        (
            "table_autoencoder",
            "tables/table_autoencoder",
            "A denoising autoencoder of the bundled people.",
            "autoencoder/denoising",
        ),
        (
            "contrastive_tables",
            "contrastive/contrastive",
            "SimCLR on corrupted rows, for tables.",
            "contrastive/contrastive",
        ),
    )
    for name, objective, summary, instead_of in recipes:
        yield RecipeSpec(
            name=name,
            summary=summary,
            objective=objective,
            backbone="tables/table_mlp",
            preprocessor="tables/table",
            dataset="tables/adult",
            instead_of=instead_of,
            settings={"train.epochs": 15, "train.batch_size": 256, "probe.data": "holdout"},
            references=("https://arxiv.org/abs/2106.15147",),
        )


@hookimpl
def kptk_comparisons() -> Iterator[ComparisonSpec]:
    """Offer the comparison of preparations of a table."""
    yield PREPROCESSING

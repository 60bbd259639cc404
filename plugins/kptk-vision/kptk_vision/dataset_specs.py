"""The data sets and readers that this plugin offers. Read at discovery: keep Keras out."""

from collections.abc import Iterator

from kptk import DatasetSpec, Option
from kptk.endings import IMAGES

_READER = (
    Option(
        name="image_size",
        type=int,
        default=0,
        low=0,
        high=1024,
        help="Side in pixels; 0: the files' own size if they agree, else 64.",
    ),
    Option(
        name="channels",
        type=int,
        default=0,
        choices=(0, 1, 3),
        help="1 grey, 3 colour, 0: what the files have.",
    ),
    Option(
        name="on_bad_input",
        type=str,
        default="error",
        choices=("error", "skip"),
        help="Refuse an unreadable image, or leave it out and list it.",
    ),
)


def datasets() -> Iterator[DatasetSpec]:
    """Offer the bundled digits and emoji; images in folders, archives, tables and arrays."""
    yield DatasetSpec(
        name="mnist10k",
        target="kptk_vision.mnist10k:mnist10k",
        summary="10,000 handwritten digits, 28 x 28, grey: 8,000 and 2,000 for tests.",
        labels=True,
        samples=8000,
        licence="CC BY-SA 3.0",
        suggests={
            "preprocessor.flip": 0.0,
            "preprocessor.crop": 0.6,
            "preprocessor.rotation": 20.0,
            "preprocessor.noise": 0.1,
        },
        since="0.1.0",
    )
    yield DatasetSpec(
        name="emoji48",
        target="kptk_vision.emoji48:emoji48",
        summary="1,906 emoji in colour, 48 x 48, 9 classes: 1,528 and 378 for tests.",
        labels=True,
        samples=1528,
        licence="Apache-2.0",
        suggests={"preprocessor.crop": 0.4, "preprocessor.jitter": 0.2, "preprocessor.grey": 0.1},
        since="0.1.0",
    )
    yield DatasetSpec(
        name="image_folder",
        target="kptk_vision.image_folder:image_folder",
        summary="A folder of images, with or without a sub-folder for each class.",
        options=_READER,
        labels=True,
        reads=("folder",),
        full_of=((*IMAGES, ".arrow", ".tfrecord", ".zip", ".tar", ".tgz", ".gz", ".xz", ".bz2"),),
        since="0.1.0",
    )
    yield DatasetSpec(
        name="image_archive",
        target="kptk_vision.image_archive:image_archive",
        summary="Images in a .zip or .tar, with or without a folder for each class.",
        options=_READER,
        labels=True,
        reads=(".zip", ".tar", *(f".tar.{end}" for end in ("gz", "xz", "bz2")), ".tgz", ".txz", ".tbz2"),
        since="0.2.0",
    )
    yield DatasetSpec(
        name="image_table",
        target="kptk_vision.image_table:image_table",
        summary="Images listed in a column of a CSV, TSV, JSON Lines or Parquet file.",
        options=(
            Option(name="image", type=str, default="", help="Column of the paths of the images."),
            Option(name="label", type=str, default="", help="Column of the labels."),
            Option(
                name="root", type=str, default="", help="Folder where the paths begin; by default that of the table."
            ),
            Option(name="split", type=str, default="", help="Column of train, validation and test."),
            Option(
                name="delimiter", type=str, default="auto", help="Between cells: a character, or its name such as tab."
            ),
            Option(name="encoding", type=str, default="utf-8", help="Of a text file, such as latin-1."),
            Option(
                name="absent",
                type=str,
                default="error",
                choices=("error", "ignore"),
                help="What to do if the table lacks the column of labels or parts.",
            ),
            *_READER,
        ),
        labels=True,
        reads=(
            *(
                f"{form}{packed}"
                for form in (".csv", ".tsv", ".jsonl", ".ndjson")
                for packed in ("", ".gz", ".xz", ".bz2")
            ),
            ".parquet",
        ),
        needs=("image",),
        since="0.2.0",
    )
    yield DatasetSpec(
        name="image_array",
        target="kptk_vision.image_array:image_array",
        summary="Images in an .npz (x, and y where labelled) or .npy file.",
        options=(_READER[2],),
        labels=True,
        reads=(".npz", ".npy"),
        refuses="kptk_vision.image_array:refuses",
        since="0.1.0",
    )
    yield DatasetSpec(
        name="image_hdf5",
        target="kptk_vision.image_hdf5:image_hdf5",
        summary="Images in an HDF5 file, read row by row.",
        options=(
            Option(name="x", type=str, default="", help="Data set of the images; by default x, x_train or images."),
            Option(
                name="y",
                type=str,
                default="",
                help="Data set of the labels; by default y, y_train or labels; - for none.",
            ),
            _READER[2],
        ),
        labels=True,
        reads=(".h5", ".hdf5"),
        refuses="kptk_vision.image_array:refuses",
        since="0.2.0",
    )

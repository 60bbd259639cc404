"""A folder of pictures, each with its caption in a text file of the same name."""

from __future__ import annotations

import os
from pathlib import Path

from kptk.data import BadInput
from kptk.errors import InputError
from kptk.training.decode import SUFFIXES
from kptk_image_text.pairs import Pairs
from kptk_image_text.picture_files import pairs_of_files

CAPTION = ".txt"


def captioned_folder(
    path: str, *, image_size: int = 0, channels: int = 0, encoding: str = "utf-8", on_bad_input: str = "error"
) -> Pairs:
    """Open a folder, read recursively, in which ``name.png`` has its caption in ``name.txt``.

    If all pictures lie in sub-folders and there are several, the first sub-folder of each is its class.

    Args:
        path: the folder.
        image_size: side in pixels; 0 keeps the files' own size if they agree and are at most 224, else 64.
        channels: 1 for grey, 3 for colour, 0 for what the files have.
        encoding: of the captions.
        on_bad_input: ``"error"`` refuses pictures without a caption and captions without a picture, ``"skip"`` leaves them out
            and lists them.

    Returns:
        Pairs; pictures are scaled to cover the size and cut to its middle.

    Raises:
        InputError: if there is no picture with a caption, or one that cannot be used.
    """
    root = Path(path)
    pictures, texts = _files(root)
    if not pictures or not texts:
        raise InputError(
            f"{root} holds {len(pictures):,} images and {len(texts):,} captions. Give each image a text file of the same name "
            "(cat.png, cat.txt), or a table: -o data.image=COLUMN -o data.text=COLUMN"
        )
    bad = [
        BadInput(str(file), f"it has no image: none is called {file.stem}")
        for file in sorted(texts - {file.with_suffix(CAPTION) for file in pictures})
    ]
    good: list[Path] = []
    captions: list[str] = []
    for picture in sorted(pictures):
        caption = _caption(picture.with_suffix(CAPTION), texts, encoding)
        if isinstance(caption, BadInput):
            bad.append(BadInput(str(picture), caption.reason))
            continue
        good.append(picture)
        captions.append(caption)
    tops = [file.relative_to(root).parts[0] if len(file.relative_to(root).parts) > 1 else "" for file in good]
    return pairs_of_files(
        root.name,
        good,
        captions,
        where=lambda row: str(root),
        labels=tops if "" not in tops and len(set(tops)) > 1 else (),
        image_size=image_size,
        channels=channels,
        bad=bad,
        on_bad_input=on_bad_input,
    )


def _files(root: Path) -> tuple[set[Path], set[Path]]:
    """Pictures and captions; links to folders are not followed, so loops end."""
    pictures: set[Path] = set()
    texts: set[Path] = set()
    for folder, subfolders, names in os.walk(root):
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        for name in names:
            file = Path(folder) / name
            if not name.startswith("."):
                (pictures if file.suffix.lower() in SUFFIXES else texts).add(file)
    return pictures, {file for file in texts if file.suffix == CAPTION}


def _caption(file: Path, known: set[Path], encoding: str) -> str | BadInput:
    if file not in known:
        return BadInput(str(file), f"it has no caption: {file.name} is not there")
    try:
        text = " ".join(file.read_text(encoding=encoding).split())
    except (UnicodeDecodeError, LookupError) as error:
        return BadInput(str(file), f"its caption is not {encoding}: {error}")
    except OSError as error:
        return BadInput(str(file), f"its caption cannot be read: {error.strerror or error}")
    return text or BadInput(str(file), f"its caption is empty: {file.name}")

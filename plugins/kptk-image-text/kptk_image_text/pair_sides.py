"""The pictures alone, and the captions alone, of any pairs, as data of their own kinds."""

from __future__ import annotations

from kptk.errors import UsageError
from kptk.plugins import Plugins
from kptk_image_text.pairs import KIND, Pairs, PairSide


def pair_images(*, pairs: str = "emoji_captions", options: str = "") -> PairSide:
    """Open the pictures of pairs without their captions.

    Args:
        pairs: a path, or the name of a data set of pairs.
        options: options of its reader, ``"image=file,text=caption"``.

    Returns:
        Images, with the classes of the pairs if they have some.

    Raises:
        UsageError: if an option is unknown.
        InputError: if the data cannot be used.

    Example:
        >>> pair_images().row_shape
        (48, 48, 3)
    """
    return PairSide(open_pairs(pairs, options), "image")


def pair_texts(*, pairs: str = "emoji_captions", options: str = "") -> PairSide:
    """Open the captions of pairs without their pictures.

    Args:
        pairs: a path, or the name of a data set of pairs.
        options: options of its reader, ``"image=file,text=caption"``.

    Returns:
        Texts, with the classes of the pairs if they have some.

    Raises:
        UsageError: if an option is unknown.
        InputError: if the data cannot be used.
    """
    return PairSide(open_pairs(pairs, options), "text")


def open_pairs(data: str, options: str = "") -> Pairs:
    """Open pairs by path or name.

    Args:
        data: a path, or the name of a data set of pairs.
        options: options of its reader, ``"image=file,text=caption"``.

    Raises:
        UsageError: if it is no data of pairs.
    """
    from kptk.locating import locate
    from kptk.training.assemble import open_named
    from kptk_image_text.part_options import part_options

    plugins = Plugins()
    names = [word.partition("=")[0].strip() for word in options.split(",") if word.strip()]
    offer, _ = locate(plugins, data, KIND, given=names)
    if offer.spec.inputs != KIND:
        raise UsageError(
            f"data {offer.id} holds {offer.spec.inputs}, not images with captions. See: kptk list datasets"
        )
    found = open_named(plugins, data, KIND, **part_options("dataset", offer.id, options, "options"))
    assert isinstance(found, Pairs)
    return found

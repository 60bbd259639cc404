"""Images in HDF5: read row by row, with the sentence for everything that is refused."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from kptk.errors import InputError
from kptk_vision.image_hdf5 import image_hdf5

RNG = np.random.default_rng(0)
X = RNG.integers(0, 256, (6, 5, 4, 3)).astype("uint8")


def written(folder, **data) -> str:
    path = folder / f"images{len(list(folder.iterdir()))}.h5"
    with h5py.File(path, "w") as file:
        for name, value in data.items():
            file[name] = value
    return str(path)


def test_rows_come_in_the_order_asked_for(tmp_path) -> None:
    source = image_hdf5(written(tmp_path, x=X, y=np.array([b"owl", b"bat"] * 3)))
    rows = np.array([5, 0, 0, 3])
    np.testing.assert_array_equal(source.read(rows), X[rows])
    assert (source.class_names, source.labels.tolist()) == (("bat", "owl"), [1, 0] * 3)


def test_names_of_data_sets_and_the_test_part(tmp_path) -> None:
    path = written(tmp_path, x_train=X[:4], y_train=np.arange(4) % 2, x_test=X[4:], y_test=np.arange(2))
    source = image_hdf5(path)
    assert (len(source), len(source.holdout())) == (4, 2)
    np.testing.assert_array_equal(source.holdout().read(np.array([1])), X[5:])
    path = written(tmp_path, **{"deep/pictures": X[..., 0], "deep/names": np.arange(6) % 3})
    source = image_hdf5(path, x="deep/pictures", y="deep/names")
    assert source.row_shape == (5, 4, 1)
    assert image_hdf5(path, x="/deep/pictures", y="-").labels is None
    with pytest.raises(InputError, match=r"-o data\.x=NAME.*deep/pictures \(6, 5, 4\)"):
        image_hdf5(path)
    with pytest.raises(InputError, match=r"no data set 'deep/picture' .*Did you mean 'deep/pictures'"):
        image_hdf5(path, x="deep/picture")


def test_what_numbers_mean(tmp_path) -> None:
    unit = RNG.random((3, 2, 2)).astype("float64")
    np.testing.assert_allclose(image_hdf5(written(tmp_path, x=unit)).read(np.arange(3))[..., 0], unit, rtol=1e-6)
    whole = image_hdf5(written(tmp_path, x=X.astype("float32"))).read(np.arange(6))
    np.testing.assert_array_equal(whole, X)
    assert whole.dtype == np.uint8
    flags = image_hdf5(written(tmp_path, x=unit > 0.5)).read(np.arange(3))
    np.testing.assert_array_equal(flags[..., 0], np.where(unit > 0.5, 255, 0))


def test_rows_with_nan_are_refused_or_left_out(tmp_path) -> None:
    x = RNG.random((5, 2, 2))
    x[3, 0, 0] = np.nan
    path = written(tmp_path, x=x, y=np.arange(5))
    with pytest.raises(InputError, match="NaN or infinity in 1 of 5 rows, first in row 3"):
        image_hdf5(path)
    source = image_hdf5(path, on_bad_input="skip")
    assert (len(source), source.class_names) == (4, ("0", "1", "2", "4"))
    np.testing.assert_allclose(source.read(np.array([3]))[0, ..., 0], x[4], rtol=1e-6)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        ({"x": X[0, 0]}, r"must have the shape .*Received: \(4, 3\)"),
        ({"x": X.astype(int) - 300}, "integer images must be 0..255"),
        ({"x": X * 10.0}, "float images must be"),
        ({"x": X, "y": np.zeros(3)}, "one label for each of the 6 rows"),
        ({"x": np.full((2, 3, 3), b"a")}, "must hold numbers"),
        ({"weights": X[0, 0, 0]}, "It holds: weights"),
    ],
)
def test_bad_content_is_refused(data, sentence, tmp_path) -> None:
    with pytest.raises(InputError, match=sentence):
        image_hdf5(written(tmp_path, **data))


def test_nothing_is_read_from_other_files(tmp_path) -> None:
    secret = written(tmp_path, x=X)
    path = tmp_path / "links.h5"
    with h5py.File(path, "w") as file:
        file["x"] = h5py.ExternalLink(secret, "x")
        file.create_dataset("raw", (6, 5, 4, 3), "uint8", external=[(secret, 0, X.size)])
        layout = h5py.VirtualLayout((6, 5, 4, 3), "uint8")
        layout[:] = h5py.VirtualSource(secret, "x", X.shape)
        file.create_virtual_dataset("view", layout)
    with pytest.raises(InputError, match="link to another file, which is not followed"):
        image_hdf5(str(path), x="x")
    for name in ("raw", "view"):
        with pytest.raises(InputError, match="takes its content from other files"):
            image_hdf5(str(path), x=name)
    (tmp_path / "cut.h5").write_bytes((tmp_path / "images0.h5").read_bytes()[:500])
    with pytest.raises(InputError, match="not a whole HDF5 file"):
        image_hdf5(str(tmp_path / "cut.h5"))

"""The ready comparison of preparations of a table. Read at discovery: keep Keras out."""

from kptk import ComparisonSpec

WAYS: dict[str, dict[str, str]] = {
    "standard": {},
    "unscaled": {"scaling": "none"},
    **{name: {"scaling": name} for name in ("minmax", "robust", "quantile")},
    **{name: {"categories": name} for name in ("ordinal", "binary", "hashed")},
}
"""Options of the preprocessor in which each arm differs from the first."""

PREPROCESSING = ComparisonSpec(
    name="preprocessing",
    summary="Scalings and encodings of a table, one network, with few labels.",
    arms={
        name: {
            "preprocessor": "tables/table",
            "settings": {f"preprocessor.{option}": value for option, value in way.items()},
        }
        for name, way in WAYS.items()
    },
    objective="scratch",
    data="tables/adult",
    baseline="standard",
    settings={"labels_per_class": "20,200,all", "budget": "300steps", "test_rows": 0},
    advice=(
        "The rows in brackets have the same cells without a trained network. kptk data compare-preprocessing TABLE is quicker: "
        "every scaling with every encoding, all labels, planted outliers; --objectives scarf asks the same of a pre-trained "
        "network."
    ),
    since="0.1.0",
)

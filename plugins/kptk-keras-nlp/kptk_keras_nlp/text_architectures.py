"""KerasHub's text networks that are offered by name. Read at discovery: no import of Keras."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kptk.option import Option
from kptk.spec import BackboneSpec

if TYPE_CHECKING:
    import keras

OPTIONS = (
    Option(name="vocabulary", type=int, default=0, low=0, help="Tokens; 0: what the preprocessor learned."),
    Option(name="layers", type=int, default=2, low=1, help="How many."),
    Option(name="heads", type=int, default=2, low=1, help="Attention heads of a layer."),
    Option(name="width", type=int, default=128, low=2, help="Length of the vectors; a multiple of the heads."),
    Option(name="mlp_ratio", type=int, default=4, low=1, help="Hidden width of a perceptron, in widths."),
    Option(name="positions", type=int, default=0, low=0, help="Positions that have a vector; 0: the rows' length."),
    Option(name="dropout", default=0.1, low=0.0, high=0.9, help="Fraction dropped behind every part."),
    Option(name="pool", type=str, default="mean", choices=("mean", "cls", "none"), help="Features: of which tokens."),
    Option(name="arguments", type=str, default="{}", help="More arguments of the class: JSON, or a .json file."),
)
"""Options of every text network."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextArchitecture:
    """A family of text networks that is built by calling it with a shape and a size.

    Args:
        name: name of the backbone.
        summary: one line, as in a spec.
        family: class in `keras_hub.models`, without its ending.
        reference: address of the paper.
        vocabulary: when called: how many tokens; `kptk train` sets it to what the preprocessor learned.
        layers: when called: how many.
        heads: when called: attention heads; they must divide the width.
        width: when called: length of the vectors.
        mlp_ratio: when called: hidden width of the perceptrons, as a multiple of the width.
        positions: when called: how many positions have a vector; 0 for the length of the input.
        dropout: when called: fraction dropped behind every part.
        pool: when called: the features, ``"mean"`` of the tokens, ``"cls"`` or ``"none"``.
        arguments: when called: more arguments of the class, as JSON text or the path of a ``.json`` file.

    Example:
        >>> albert.spec().name
        'albert'
    """

    name: str
    summary: str
    family: str
    reference: str

    def __call__(
        self,
        input_shape: tuple[int, ...],
        *,
        vocabulary: int = 0,
        layers: int = 2,
        heads: int = 2,
        width: int = 128,
        mlp_ratio: int = 4,
        positions: int = 0,
        dropout: float = 0.1,
        pool: str = "mean",
        arguments: str = "{}",
    ) -> keras.Model:
        """Build the network with fresh weights; the arguments are described with the class.

        Raises:
            UsageError: if it cannot be built so.
        """
        from kptk_keras_nlp.hub_text import text_network

        return text_network(
            self.family,
            input_shape,
            vocabulary=vocabulary,
            layers=layers,
            heads=heads,
            width=width,
            mlp_ratio=mlp_ratio,
            positions=positions,
            dropout=dropout,
            pool=pool,
            arguments=arguments,
            name=self.name,
        )

    def spec(self) -> BackboneSpec:
        """The spec to yield."""
        return BackboneSpec(
            name=self.name,
            target=f"kptk_keras_nlp.text_architectures:{self.name}",
            summary=self.summary,
            options=OPTIONS,
            references=(self.reference,),
            inputs="text",
            holds=("keras_hub",),
            since="0.2.0",
        )


hub_bert = TextArchitecture(
    name="hub_bert",
    summary="KerasHub's BERT of any size; kptk-text has one of plain layers.",
    family="Bert",
    reference="https://arxiv.org/abs/1810.04805",
)
albert = TextArchitecture(
    name="albert",
    summary="ALBERT: one layer's weights for all layers, a narrow table.",
    family="Albert",
    reference="https://arxiv.org/abs/1909.11942",
)
distil_bert = TextArchitecture(
    name="distil_bert",
    summary="DistilBERT: BERT without segments and pooler.",
    family="DistilBert",
    reference="https://arxiv.org/abs/1910.01108",
)
roberta = TextArchitecture(
    name="roberta",
    summary="RoBERTa: BERT without segments.",
    family="Roberta",
    reference="https://arxiv.org/abs/1907.11692",
)
xlm_roberta = TextArchitecture(
    name="xlm_roberta",
    summary="XLM-RoBERTa: RoBERTa for many languages.",
    family="XLMRoberta",
    reference="https://arxiv.org/abs/1911.02116",
)
hub_electra = TextArchitecture(
    name="hub_electra",
    summary="ELECTRA's discriminator: BERT with a narrow table.",
    family="Electra",
    reference="https://arxiv.org/abs/2003.10555",
)
f_net = TextArchitecture(
    name="f_net",
    summary="FNet: a Fourier transform instead of attention.",
    family="FNet",
    reference="https://arxiv.org/abs/2105.03824",
)
gpt2 = TextArchitecture(
    name="gpt2",
    summary="GPT-2, which reads from left to right.",
    family="GPT2",
    reference="https://cdn.openai.com/better-language-models/language_models_are_unsupervised_multitask_learners.pdf",
)

TEXT_ARCHITECTURES = (*(hub_bert, albert, distil_bert, roberta, xlm_roberta, hub_electra, f_net, gpt2),)

"""What a comparison is: its configuration, how it is resolved and written. Nothing here imports Keras."""

from kptk.comparing.config import ArmConfig as ArmConfig
from kptk.comparing.config import ComparisonConfig as ComparisonConfig
from kptk.comparing.request import ComparisonRequest as ComparisonRequest
from kptk.comparing.request import resolve_comparison as resolve_comparison
from kptk.comparing.toml import read_comparison as read_comparison
from kptk.comparing.toml import to_toml as to_toml

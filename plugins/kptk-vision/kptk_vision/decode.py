"""One image file to one array of bytes: the core's, since other plugins read images too."""

from kptk.training.decode import GREY_MODES as GREY_MODES
from kptk.training.decode import SUFFIXES as SUFFIXES
from kptk.training.decode import Pixels as Pixels
from kptk.training.decode import Unreadable as Unreadable
from kptk.training.decode import open_image as open_image
from kptk.training.decode import to_array as to_array

"""IMDN and RFDN: two light networks that others have published weights for."""

from .imdn import IMDN
from .rfdn import RFDN

__all__ = ["IMDN", "RFDN"]

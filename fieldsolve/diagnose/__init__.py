"""The modality gap of real embeddings: metrics with their uncertainty, and the theory beside them.

The wing is called like its function: `fieldsolve.diagnose(a, b)`.
"""

import sys
from types import ModuleType
from typing import Any

from fieldsolve.diagnose.diagnosis import Comparison as Comparison
from fieldsolve.diagnose.diagnosis import Diagnosis as Diagnosis
from fieldsolve.diagnose.diagnosis import diagnose as diagnose
from fieldsolve.diagnose.metrics.metric import Metric as Metric


class _Wing(ModuleType):
    """The module of a wing that has its function's name: a package's attribute is either, and users mean the function."""

    def __call__(self, *modalities: Any, **options: Any) -> Diagnosis:
        return diagnose(*modalities, **options)


sys.modules[__name__].__class__ = _Wing

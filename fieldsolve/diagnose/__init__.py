"""The modality gap of real embeddings: metrics with their uncertainty, and the theory beside the data."""

from fieldsolve.diagnose.diagnosis import Comparison as Comparison
from fieldsolve.diagnose.diagnosis import Diagnosis as Diagnosis
from fieldsolve.diagnose.diagnosis import diagnose as diagnose
from fieldsolve.diagnose.files import read_groups as read_groups
from fieldsolve.diagnose.files import read_modalities as read_modalities
from fieldsolve.diagnose.files import read_pairs_table as read_pairs_table
from fieldsolve.diagnose.metric import Metric as Metric
from fieldsolve.diagnose.sample import modality as modality

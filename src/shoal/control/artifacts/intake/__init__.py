"""Taking in what strangers give: files, folders and archives become a staged folder and its manifest, or are refused.

taking         the whole way, and the result
folders tars zips streams   containers -> members; `tar_headers`, `zip_records` are their pure parts
names members  rules for names; kinds, sizes, budgets
staging        members -> files below one folder
checksums disguises safetensors recognising   what is looked at before anything is believed
"""

from shoal.control.artifacts.intake.members import Budget
from shoal.control.artifacts.intake.taking import Intake, take_in

__all__ = ["Budget", "Intake", "take_in"]

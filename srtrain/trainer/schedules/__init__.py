"""Learning-rate schedules: pure functions from a step to a factor of the base learning rate; one file each.

A registered function returns ``factor(step)``, where ``step`` is the number of finished updates. The first update uses
``factor(0)`` and the last one ``factor(max_steps - 1)``. Schedules save nothing, so a resume cannot apply one twice.
"""

from srtrain.registry import Registry

SCHEDULES = Registry("learning-rate schedule", __name__)

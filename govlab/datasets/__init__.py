"""Data to work on: a made-up community with planted incidents, small real replays, and loaders for public sets.

>>> import govlab.datasets as datasets
>>> datasets.names()[:3]
['bitcoin_otc', 'card_sim', 'community']
>>> datasets.path("nab/ec2_cpu_utilization_fe7f93").name
'ec2_cpu_utilization_fe7f93.csv'
"""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

if TYPE_CHECKING:
    from govlab.datasets.generator import Community as Community
    from govlab.datasets.generator import community as community
    from govlab.datasets.loaders import Dataset as Dataset
    from govlab.datasets.loaders import load as load
    from govlab.datasets.loaders import names as names
    from govlab.datasets.shipped import path as path
else:
    __getattr__, __dir__, __all__ = lazy_room(
        __name__,
        more={
            "Community": "govlab.datasets.generator:Community",
            "Dataset": "govlab.datasets.loaders:Dataset",
            "community": "govlab.datasets.generator:community",
            "load": "govlab.datasets.loaders:load",
            "names": "govlab.datasets.loaders:names",
            "path": "govlab.datasets.shipped:path",
        },
    )

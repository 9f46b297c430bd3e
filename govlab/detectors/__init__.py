"""Steps that score: one algorithm a file."""

from govlab.registry import lazy_room

TABLE = {
    "always": ("govlab.detectors.constant:Always", "pip install govlab"),
    "anomaly_likelihood": ("govlab.detectors.anomaly_likelihood:AnomalyLikelihood", "pip install govlab"),
    "cad_ose": ("govlab.detectors.cad_ose:CadOse", "pip install govlab"),
    "calibrated": ("govlab.detectors.calibrated:Calibrated", "pip install govlab"),
    "callable": ("govlab.detectors.adapters:Callable", "pip install govlab"),
    "conformal_knn": ("govlab.detectors.conformal_knn:ConformalKnn", "pip install govlab"),
    "ewma_z": ("govlab.detectors.ewma_z:EwmaZ", "pip install govlab"),
    "fused": ("govlab.detectors.fused:Fused", "pip install govlab"),
    "fuzzy_art": ("govlab.detectors.fuzzy_art:FuzzyArt", "pip install govlab"),
    "half_space_trees": ("govlab.detectors.half_space_trees:HalfSpaceTrees", "pip install govlab"),
    "never": ("govlab.detectors.constant:Never", "pip install govlab"),
    "random": ("govlab.detectors.constant:Random", "pip install govlab"),
    "river": ("govlab.detectors.adapters:River", "pip install 'govlab[river]'"),
    "robust_z": ("govlab.detectors.robust_z:RobustZ", "pip install govlab"),
    "seasonal_count": ("govlab.detectors.seasonal_count:SeasonalCount", "pip install govlab"),
    "sklearn": ("govlab.detectors.adapters:Sklearn", "pip install govlab"),
    "spot": ("govlab.detectors.spot:Spot", "pip install govlab"),
    "volume": ("govlab.detectors.constant:Volume", "pip install govlab"),
}

__getattr__, __dir__ = lazy_room("detectors", TABLE)

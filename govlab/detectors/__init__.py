"""Steps that score: one algorithm a file."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "adwin": ("govlab.detectors.drift.adwin:Adwin", "pip install govlab"),
    "always": ("govlab.detectors.baselines:Always", "pip install govlab"),
    "anomaly_likelihood": ("govlab.detectors.metrics.anomaly_likelihood:AnomalyLikelihood", "pip install govlab"),
    "bocpd": ("govlab.detectors.drift.bocpd:Bocpd", "pip install govlab"),
    "cad_ose": ("govlab.detectors.metrics.cad_ose:CadOse", "pip install govlab"),
    "calibrated": ("govlab.detectors.calibrated:Calibrated", "pip install govlab"),
    "callable": ("govlab.detectors.adapters:Callable", "pip install govlab"),
    "co_action": ("govlab.detectors.coordination.co_action:CoAction", "pip install govlab"),
    "conformal_knn": ("govlab.detectors.metrics.conformal_knn:ConformalKnn", "pip install govlab"),
    "decayed_histogram": ("govlab.detectors.events.decayed_histogram:DecayedHistogram", "pip install govlab"),
    "ewma_z": ("govlab.detectors.metrics.ewma_z:EwmaZ", "pip install govlab"),
    "fused": ("govlab.detectors.fused:Fused", "pip install govlab"),
    "fuzzy_art": ("govlab.detectors.metrics.fuzzy_art:FuzzyArt", "pip install govlab"),
    "half_space_trees": ("govlab.detectors.events.half_space_trees:HalfSpaceTrees", "pip install govlab"),
    "hddm": ("govlab.detectors.drift.hddm:Hddm", "pip install govlab"),
    "input_drift": ("govlab.detectors.drift.input_drift:InputDrift", "pip install govlab"),
    "kitnet": ("govlab.detectors.events.kitnet:Kitnet", "pip install govlab"),
    "loda": ("govlab.detectors.events.loda:Loda", "pip install govlab"),
    "midas": ("govlab.detectors.coordination.midas:Midas", "pip install govlab"),
    "mstream": ("govlab.detectors.events.mstream:Mstream", "pip install govlab"),
    "near_duplicate": ("govlab.detectors.coordination.near_duplicate:NearDuplicate", "pip install govlab"),
    "never": ("govlab.detectors.baselines:Never", "pip install govlab"),
    "page_hinkley": ("govlab.detectors.drift.page_hinkley:PageHinkley", "pip install govlab"),
    "random": ("govlab.detectors.baselines:Random", "pip install govlab"),
    "review_learner": ("govlab.detectors.events.review_learner:ReviewLearner", "pip install govlab"),
    "river": ("govlab.detectors.adapters:River", "pip install 'govlab[river]'"),
    "robust_z": ("govlab.detectors.metrics.robust_z:RobustZ", "pip install govlab"),
    "role_shift": ("govlab.detectors.coordination.role_shift:RoleShift", "pip install govlab"),
    "rs_hash": ("govlab.detectors.events.rs_hash:RsHash", "pip install govlab"),
    "seasonal_count": ("govlab.detectors.metrics.seasonal_count:SeasonalCount", "pip install govlab"),
    "sklearn": ("govlab.detectors.adapters:Sklearn", "pip install govlab"),
    "spot": ("govlab.detectors.metrics.spot:Spot", "pip install govlab"),
    "volume": ("govlab.detectors.baselines:Volume", "pip install govlab"),
}

if TYPE_CHECKING:
    from govlab.detectors.adapters import Callable as Callable
    from govlab.detectors.adapters import River as River
    from govlab.detectors.adapters import Sklearn as Sklearn
    from govlab.detectors.baselines import Always as Always
    from govlab.detectors.baselines import Never as Never
    from govlab.detectors.baselines import Random as Random
    from govlab.detectors.baselines import Volume as Volume
    from govlab.detectors.calibrated import Calibrated as Calibrated
    from govlab.detectors.coordination.co_action import CoAction as CoAction
    from govlab.detectors.coordination.midas import Midas as Midas
    from govlab.detectors.coordination.near_duplicate import NearDuplicate as NearDuplicate
    from govlab.detectors.coordination.role_shift import RoleShift as RoleShift
    from govlab.detectors.drift.adwin import Adwin as Adwin
    from govlab.detectors.drift.bocpd import Bocpd as Bocpd
    from govlab.detectors.drift.hddm import Hddm as Hddm
    from govlab.detectors.drift.input_drift import InputDrift as InputDrift
    from govlab.detectors.drift.page_hinkley import PageHinkley as PageHinkley
    from govlab.detectors.events.decayed_histogram import DecayedHistogram as DecayedHistogram
    from govlab.detectors.events.half_space_trees import HalfSpaceTrees as HalfSpaceTrees
    from govlab.detectors.events.kitnet import Kitnet as Kitnet
    from govlab.detectors.events.loda import Loda as Loda
    from govlab.detectors.events.mstream import Mstream as Mstream
    from govlab.detectors.events.review_learner import ReviewLearner as ReviewLearner
    from govlab.detectors.events.rs_hash import RsHash as RsHash
    from govlab.detectors.fused import Fused as Fused
    from govlab.detectors.metrics.anomaly_likelihood import AnomalyLikelihood as AnomalyLikelihood
    from govlab.detectors.metrics.cad_ose import CadOse as CadOse
    from govlab.detectors.metrics.conformal_knn import ConformalKnn as ConformalKnn
    from govlab.detectors.metrics.ewma_z import EwmaZ as EwmaZ
    from govlab.detectors.metrics.fuzzy_art import FuzzyArt as FuzzyArt
    from govlab.detectors.metrics.robust_z import RobustZ as RobustZ
    from govlab.detectors.metrics.seasonal_count import SeasonalCount as SeasonalCount
    from govlab.detectors.metrics.spot import Spot as Spot
else:
    __getattr__, __dir__, __all__ = lazy_room(__name__, TABLE)

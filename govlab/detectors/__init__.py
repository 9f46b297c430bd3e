"""Steps that score: one algorithm a file."""

from typing import TYPE_CHECKING

from govlab.registry import lazy_room

TABLE = {
    "adwin": ("govlab.detectors.adwin:Adwin", "pip install govlab"),
    "always": ("govlab.detectors.constant:Always", "pip install govlab"),
    "anomaly_likelihood": ("govlab.detectors.anomaly_likelihood:AnomalyLikelihood", "pip install govlab"),
    "bocpd": ("govlab.detectors.bocpd:Bocpd", "pip install govlab"),
    "cad_ose": ("govlab.detectors.cad_ose:CadOse", "pip install govlab"),
    "calibrated": ("govlab.detectors.calibrated:Calibrated", "pip install govlab"),
    "callable": ("govlab.detectors.adapters:Callable", "pip install govlab"),
    "co_action": ("govlab.detectors.co_action:CoAction", "pip install govlab"),
    "conformal_knn": ("govlab.detectors.conformal_knn:ConformalKnn", "pip install govlab"),
    "decayed_histogram": ("govlab.detectors.decayed_histogram:DecayedHistogram", "pip install govlab"),
    "ewma_z": ("govlab.detectors.ewma_z:EwmaZ", "pip install govlab"),
    "fused": ("govlab.detectors.fused:Fused", "pip install govlab"),
    "fuzzy_art": ("govlab.detectors.fuzzy_art:FuzzyArt", "pip install govlab"),
    "half_space_trees": ("govlab.detectors.half_space_trees:HalfSpaceTrees", "pip install govlab"),
    "hddm": ("govlab.detectors.hddm:Hddm", "pip install govlab"),
    "input_drift": ("govlab.detectors.input_drift:InputDrift", "pip install govlab"),
    "kitnet": ("govlab.detectors.kitnet:Kitnet", "pip install govlab"),
    "loda": ("govlab.detectors.loda:Loda", "pip install govlab"),
    "midas": ("govlab.detectors.midas:Midas", "pip install govlab"),
    "mstream": ("govlab.detectors.mstream:Mstream", "pip install govlab"),
    "near_duplicate": ("govlab.detectors.near_duplicate:NearDuplicate", "pip install govlab"),
    "never": ("govlab.detectors.constant:Never", "pip install govlab"),
    "page_hinkley": ("govlab.detectors.page_hinkley:PageHinkley", "pip install govlab"),
    "random": ("govlab.detectors.constant:Random", "pip install govlab"),
    "review_learner": ("govlab.detectors.review_learner:ReviewLearner", "pip install govlab"),
    "river": ("govlab.detectors.adapters:River", "pip install 'govlab[river]'"),
    "robust_z": ("govlab.detectors.robust_z:RobustZ", "pip install govlab"),
    "role_shift": ("govlab.detectors.role_shift:RoleShift", "pip install govlab"),
    "rs_hash": ("govlab.detectors.rs_hash:RsHash", "pip install govlab"),
    "seasonal_count": ("govlab.detectors.seasonal_count:SeasonalCount", "pip install govlab"),
    "sklearn": ("govlab.detectors.adapters:Sklearn", "pip install govlab"),
    "spot": ("govlab.detectors.spot:Spot", "pip install govlab"),
    "volume": ("govlab.detectors.constant:Volume", "pip install govlab"),
}

if TYPE_CHECKING:
    from govlab.detectors.adapters import Callable as Callable
    from govlab.detectors.adapters import River as River
    from govlab.detectors.adapters import Sklearn as Sklearn
    from govlab.detectors.adwin import Adwin as Adwin
    from govlab.detectors.anomaly_likelihood import AnomalyLikelihood as AnomalyLikelihood
    from govlab.detectors.bocpd import Bocpd as Bocpd
    from govlab.detectors.cad_ose import CadOse as CadOse
    from govlab.detectors.calibrated import Calibrated as Calibrated
    from govlab.detectors.co_action import CoAction as CoAction
    from govlab.detectors.conformal_knn import ConformalKnn as ConformalKnn
    from govlab.detectors.constant import Always as Always
    from govlab.detectors.constant import Never as Never
    from govlab.detectors.constant import Random as Random
    from govlab.detectors.constant import Volume as Volume
    from govlab.detectors.decayed_histogram import DecayedHistogram as DecayedHistogram
    from govlab.detectors.ewma_z import EwmaZ as EwmaZ
    from govlab.detectors.fused import Fused as Fused
    from govlab.detectors.fuzzy_art import FuzzyArt as FuzzyArt
    from govlab.detectors.half_space_trees import HalfSpaceTrees as HalfSpaceTrees
    from govlab.detectors.hddm import Hddm as Hddm
    from govlab.detectors.input_drift import InputDrift as InputDrift
    from govlab.detectors.kitnet import Kitnet as Kitnet
    from govlab.detectors.loda import Loda as Loda
    from govlab.detectors.midas import Midas as Midas
    from govlab.detectors.mstream import Mstream as Mstream
    from govlab.detectors.near_duplicate import NearDuplicate as NearDuplicate
    from govlab.detectors.page_hinkley import PageHinkley as PageHinkley
    from govlab.detectors.review_learner import ReviewLearner as ReviewLearner
    from govlab.detectors.robust_z import RobustZ as RobustZ
    from govlab.detectors.role_shift import RoleShift as RoleShift
    from govlab.detectors.rs_hash import RsHash as RsHash
    from govlab.detectors.seasonal_count import SeasonalCount as SeasonalCount
    from govlab.detectors.spot import Spot as Spot
else:
    __getattr__, __dir__, __all__ = lazy_room(__name__, TABLE)

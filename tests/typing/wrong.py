"""What a user must not write: a type checker names each line, with the error behind ``# wrong:``."""

import govlab as gl

gl.detectors.EwmaZ("count", alhpa=0.1)  # wrong: Unexpected keyword argument "alhpa" for "EwmaZ"
gl.detectors.EwmaZ("count", warm="five")  # wrong: expected "int"
gl.detectors.EwmaX("count")  # wrong: has no attribute "EwmaX"
gl.detector.EwmaZ("count")  # wrong: has no attribute "detector"
gl.plots.TimeLine()  # wrong: has no attribute "TimeLine"
gl.sources.Replay("edits.csv")  # wrong: has no attribute "Replay"
gl.Pipeline(gl.alerts.Budget(per_day=20), "budget")  # wrong: expected "Step"
gl.from_replay("edits.csv", spead=60)  # wrong: Unexpected keyword argument "spead"
gl.from_replay("edits.csv").through(gl.alerts.Budget)  # wrong: expected "Step"
gl.from_replay("edits.csv").step("3")  # wrong: expected "int"
gl.from_replay("edits.csv").through(gl.alerts.Budget(per_day=20)).to_kafka()  # wrong: Too few arguments
print(gl.run(gl.from_replay("edits.csv")).fingreprint)  # wrong: has no attribute "fingreprint"
gl.evaluation.detection_curves()  # wrong: has no attribute "detection_curves"
gl.engines.flink.sumbit()  # wrong: has no attribute "sumbit"
print(gl.services.start("kafka").adress)  # wrong: has no attribute "adress"

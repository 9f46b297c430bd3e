"""What is given for Kubernetes can be read by those it is for, and speaks of this project as it is."""

import re
from pathlib import Path

import yaml

from govlab.services import flink_environment

FOLDER = Path(__file__).parents[2] / "services" / "flink"
INSTRUCTIONS = {
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "LABEL",
    "RUN",
    "SHELL",
    "USER",
    "VOLUME",
    "WORKDIR",
}
SPEC = {
    "flinkConfiguration", "flinkVersion", "image", "imagePullPolicy", "ingress", "job", "jobManager", "logConfiguration", "mode",
    "podTemplate", "restartNonce", "serviceAccount", "taskManager",
}  # fmt: skip


def instructions():
    text = (FOLDER / "Dockerfile").read_text()
    whole = re.sub(r"\\\n", " ", "\n".join(line for line in text.splitlines() if not line.lstrip().startswith("#")))
    return [line.strip().partition(" ")[::2] for line in whole.splitlines() if line.strip()]


def test_the_dockerfile_has_instructions_that_there_are_and_copies_what_is_there():
    found = instructions()
    assert {name for name, _ in found} <= INSTRUCTIONS
    assert found[0] == ("FROM", f"flink:{flink_environment.VERSION}-java17")
    copied = [text.split()[0] for name, text in found if name == "COPY"]
    assert copied
    assert all((FOLDER.parents[1] / path).exists() for path in copied)
    for name, text in found:
        if name == "RUN":
            assert text.count('"') % 2 == 0
            assert not re.search(r"&&\s*(&&|$)", text)


def test_the_manifest_is_a_session_cluster_of_the_operator():
    (told,) = yaml.safe_load_all((FOLDER / "deployment.yaml").read_text())
    assert ("flink.apache.org/v1beta1", "FlinkDeployment") == (told["apiVersion"], told["kind"])
    spec = told["spec"]
    assert set(spec) <= SPEC
    assert "job" not in spec
    assert flink_environment.VERSION == spec["image"].partition(":")[2]
    assert spec["flinkVersion"] == "v" + "_".join(flink_environment.VERSION.split(".")[:2])
    assert all(isinstance(value, str) for value in spec["flinkConfiguration"].values())  # the operator takes nothing else
    assert spec["podTemplate"]["spec"]["containers"][0]["name"] == "flink-main-container"
    assert {"memory", "cpu"} == set(spec["taskManager"]["resource"]) == set(spec["jobManager"]["resource"])

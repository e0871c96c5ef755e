"""The cluster files of docs/: of the form that their programs want, with flags that exist."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import jsonschema
import pytest
import ray
import yaml
from ray._private.runtime_env.packaging import _get_excludes

from search.autoencoders.command import COMMAND

ROOT = Path(__file__).parents[3]
DOCS = ROOT / "docs"
PACKAGES = ("search", "models", "probes", "analysis")

# The fields of KubeRay's v1 types (rayjob_types.go, raycluster_types.go) that a manifest may use
# here; pod templates are Kubernetes' own, of which these are the few that ours has.
RAYJOB = {
    "apiVersion": str,
    "kind": str,
    "metadata": {"name": str},
    "spec": {
        "entrypoint": str,
        "backoffLimit": int,
        "shutdownAfterJobFinishes": bool,
        "ttlSecondsAfterFinished": int,
        "rayClusterSpec": {
            "rayVersion": str,
            "enableInTreeAutoscaling": bool,
            "autoscalerOptions": {"idleTimeoutSeconds": int},
            "headGroupSpec": {"rayStartParams": {str: str}, "template": "pod"},
            "workerGroupSpecs": [
                {
                    "groupName": str,
                    "minReplicas": int,
                    "maxReplicas": int,
                    "rayStartParams": {str: str},
                    "template": "pod",
                }
            ],
        },
    },
}
POD = {
    "spec": {
        "tolerations": [{"key": str, "operator": str, "effect": str}],
        "containers": [
            {
                "name": str,
                "image": str,
                "resources": {"requests": {str: str}, "limits": {str: str}},
                "envFrom": [{"secretRef": {"name": str}}],
            }
        ],
    }
}


def conforms(value, form, where: str = "") -> list[str]:
    """Where `value` has a field or a type that `form` has not."""
    form = POD if form == "pod" else form
    if isinstance(form, type):
        return [] if type(value) is form else [f"{where} is {value!r}"]
    if isinstance(form, list):
        return [w for n, each in enumerate(value) for w in conforms(each, form[0], f"{where}[{n}]")]
    if str in form:
        return [
            w for key, each in value.items() for w in conforms(each, form[str], f"{where}.{key}")
        ]
    unknown = [f"{where}.{key} is unknown" for key in value if key not in form]
    known = {key: each for key, each in value.items() if key in form}
    return unknown + [
        w for key, each in known.items() for w in conforms(each, form[key], f"{where}.{key}")
    ]


def read(name: str) -> dict:
    return yaml.safe_load((DOCS / name).read_text())


def test_the_ray_up_file_is_of_ray_s_schema():
    schema = json.loads((Path(ray.__file__).parent / "autoscaler/ray-schema.json").read_text())
    cluster = read("ray-up.yaml")
    jsonschema.validate(cluster, schema)
    assert cluster["head_node_type"] in cluster["available_node_types"]
    for mounted in cluster["file_mounts"].values():
        assert (ROOT / mounted).exists()


def test_the_rayjob_has_only_fields_that_kuberay_knows():
    job = read("kuberay-rayjob.yaml")
    assert conforms(job, RAYJOB) == []
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    groups = [
        job["spec"]["rayClusterSpec"]["headGroupSpec"],
        *job["spec"]["rayClusterSpec"]["workerGroupSpecs"],
    ]
    version = job["spec"]["rayClusterSpec"]["rayVersion"]
    assert f"ray[tune]>={version.rpartition('.')[0]}" in (ROOT / "pyproject.toml").read_text()
    for group in groups:
        assert len(group["template"]["spec"]["containers"]) == 1


@pytest.mark.parametrize("wrong", [{"spec": {"entryPoint": "x"}}, {"spec": {"backoffLimit": "3"}}])
def test_a_wrong_manifest_would_be_found(wrong):
    assert conforms(wrong, RAYJOB)


def test_the_rayjob_s_entrypoint_begins_a_search_or_goes_on_with_it():
    entrypoint = shlex.split(read("kuberay-rayjob.yaml")["spec"]["entrypoint"])
    assert entrypoint[:2] == ["sh", "-c"]
    parsed = []
    for command in entrypoint[2].split("||"):
        program, *arguments = shlex.split(command)
        assert [program, *arguments[:2]] == ["python", "-m", "search.autoencoders"]
        parsed.append(vars(COMMAND.parser().parse_args(arguments[2:])))
    begin, go_on = parsed
    assert go_on["resume"] and "resume" not in begin
    assert {key: begin[key] for key in ("name", "storage_path")} == {
        key: go_on[key] for key in ("name", "storage_path")
    }


def test_the_job_environment_leaves_out_what_is_not_code():
    excluded = _get_excludes(ROOT, read("job-environment.yaml")["excludes"])  # as Ray reads them
    assert all(excluded(ROOT / name) for name in (".git", "runs", "data", "tests", "docs/study"))
    code = [path for name in PACKAGES for path in (ROOT / name).rglob("*")]
    assert code and not any(map(excluded, code))

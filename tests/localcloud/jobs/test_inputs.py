"""Input channels: what comes from S3, where it lies, and what is refused."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.localcloud.jobs.failure_reasons import JobFailed
from cloudtune.localcloud.jobs.inputs import check_paths
from tests.localcloud.jobs.place import BUCKET, ROLE, Place, cloud

TREE = "cd /opt/ml/input/data && find . -type f -exec sh -c 'echo $0 $(cat $0)' {} \\; | sort"


def channel(
    uri: str, name: str = "train", kind: str = "S3Prefix", sharded: bool = False, **more: Any
) -> dict[str, Any]:
    source = {
        "S3DataType": kind,
        "S3Uri": uri if "://" in uri else f"s3://{BUCKET}/{uri}",
        "S3DataDistributionType": "ShardedByS3Key" if sharded else "FullyReplicated",
    }
    return {"ChannelName": name, "DataSource": {"S3DataSource": source}, **more}


def brought(place: Place, *channels: dict[str, Any], **request: Any) -> list[str]:
    """What a job finds in its channels: path and content."""
    job = place.run("sh", "-c", TREE, InputDataConfig=list(channels), **request)
    assert job.status == "Completed", job.state
    return place.lines(job)


def refused(place: Place, *channels: dict[str, Any], **request: Any) -> str:
    """Why a job with these channels fails before it trains."""
    job = place.run("true", InputDataConfig=list(channels), **request)
    assert job.status == "Failed"
    assert "Training" not in place.secondaries(job)
    return job.state.failure_reason or ""


def test_prefixes(tmp_path: Path) -> None:
    """With or without a slash at its end a prefix means its folder, an object itself, and the begin of a name."""
    with cloud(tmp_path / "c") as place:
        for key in ("d/t/a", "d/t/b/c", "d/t2/x", "single.csv"):
            place.put(key, key)
        place.put("d/t/folder/", "")
        assert brought(place, channel("d/t/")) == ["./train/a d/t/a", "./train/b/c d/t/b/c"]
        assert brought(place, channel("d/t")) == [
            "./train/a d/t/a",
            "./train/b/c d/t/b/c",
            "./train/t2/x d/t2/x",
        ]
        assert brought(place, channel("single.csv")) == ["./train/single.csv single.csv"]
        assert len(brought(place, channel(f"s3://{BUCKET}"))) == 4
        url = f"https://s3.us-east-1.amazonaws.com/{BUCKET}/single.csv"
        assert brought(place, channel(url)) == ["./train/single.csv single.csv"]
        url = f"https://{BUCKET}.s3.us-east-1.amazonaws.com/single.csv"
        assert brought(place, channel(url)) == ["./train/single.csv single.csv"]


def test_manifest_gzip_and_fast_file(tmp_path: Path) -> None:
    """A manifest names the objects; gzip is taken off; FastFile has the files there as well."""
    with cloud(tmp_path / "c") as place:
        place.put("m/one", "1")
        place.put("m/deep/two.gz", gzip.compress(b"2"))
        place.put("list", json.dumps([{"prefix": f"s3://{BUCKET}/m/"}, "one"]))
        place.put("list2", json.dumps([{"prefix": f"s3://{BUCKET}/m/"}, "deep/two.gz"]))
        assert brought(
            place,
            channel("list", "a", "ManifestFile", InputMode="FastFile"),
            channel("list2", "b", "ManifestFile", CompressionType="Gzip"),
        ) == ["./a/one 1", "./b/deep/two 2"]
        place.put("list3", json.dumps([{"prefix": f"s3://{BUCKET}/m/"}, "three"]))
        assert "m/three" in refused(place, channel("list3", kind="ManifestFile"))
        for content in ("{}", '[{"prefix": 5}, "one"]', f'[{{"prefix": "s3://{BUCKET}/m/"}}, 1]', "[" * 100_000):
            place.put("no-list", content)
            assert "no-list is no manifest" in refused(place, channel("no-list", kind="ManifestFile"))
        assert "cannot be decompressed" in refused(place, channel("m/one", CompressionType="Gzip"))


def test_what_is_not_there_or_not_served(tmp_path: Path) -> None:
    """Every refusal names what it is about: AWS's text for what is missing, ours for what we lack."""
    with cloud(tmp_path / "c") as place:
        place.put("x", "x")
        for uri in ("nothing/here", "s3://no-such-bucket/x"):
            reason = refused(place, channel(uri))
            assert reason.startswith("ClientError: Data download failed: Failed to download data. No S3 objects found")
            assert ROLE in reason
        assert "Pipe" in refused(place, channel("x", InputMode="Pipe"))
        assert "Pipe" in refused(place, channel("x"), algorithm={"TrainingInputMode": "Pipe"})
        assert "AugmentedManifestFile" in refused(place, channel("x", kind="AugmentedManifestFile"))
        system = {"ChannelName": "f", "DataSource": {"FileSystemDataSource": {"FileSystemId": "fs-12345678"}}}
        assert "FileSystemDataSource" in refused(place, system)


@pytest.mark.parametrize("key", ["p/../../etc/x", "p//etc/x", "p/./x", "p/a\\..\\b", "p/..", "p/a/../b"])
def test_no_key_leaves_its_folder(tmp_path: Path, key: str) -> None:
    """A key with parts that climb, or that some systems take for a separator, fails the job and says which."""
    with cloud(tmp_path / "c") as place:
        place.put(key, "evil")
        assert "is no path inside of a folder" in refused(place, channel("p/"))
        place.put("list", json.dumps([{"prefix": f"s3://{BUCKET}/"}, key]))
        assert "is no path inside of a folder" in refused(place, channel("list", kind="ManifestFile"))


@pytest.mark.parametrize("path", ["a" * 256, "\N{EURO SIGN}" * 86, "/".join(["a" * 200] * 16)])
def test_keys_that_are_too_long_for_files(path: str) -> None:
    """A key that no file can have fails the job, and its reason is about the key."""
    with pytest.raises(JobFailed, match=r"Data download failed: key '[a€/]+'\.\.\. of channel 'x' is too long"):
        check_paths([path], "channel 'x'")
    check_paths(["a" * 255, "b/" + "c" * 255], "channel 'x'")


def test_a_key_that_is_another_keys_folder(tmp_path: Path) -> None:
    """S3 has both ``a`` and ``a/b``; a folder cannot."""
    with cloud(tmp_path / "c") as place:
        place.put("p/a", "1")
        place.put("p/a/b", "2")
        assert "'a' of channel 'train' would be a file, and the folder of 'a/b'" in refused(place, channel("p/"))


def test_several_hosts(tmp_path: Path) -> None:
    """Each host has its folder, name and share of the data; all speak to one another; their outputs come together."""
    script = """
import json, socket, os, pathlib
config = json.loads(pathlib.Path("/opt/ml/input/config/resourceconfig.json").read_text())
me, hosts = config["current_host"], config["hosts"]
assert os.environ["CURRENT_HOST"] == me and socket.gethostname() == me
print(me, hosts, sorted(path.name for path in pathlib.Path("/opt/ml/input/data/train").iterdir()))
pathlib.Path("/opt/ml/model", me).write_text(me)
pathlib.Path("/opt/ml/model/shared").write_text(me)
server = socket.create_server((me, 5555))
if me == "algo-1":
    for _ in hosts[1:]:
        print(server.accept()[0].recv(10).decode())
else:
    while True:
        try:
            socket.create_connection(("algo-1", 5555)).sendall(me.encode())
            break
        except ConnectionRefusedError:
            pass
"""
    with cloud(tmp_path / "c") as place:
        for number in range(5):
            place.put(f"p/{number}", "x")
        resources = {"InstanceType": "ml.m5.large", "InstanceCount": 3, "VolumeSizeInGB": 1}
        jobs = [
            place.python(script, InputDataConfig=[channel("p", sharded=True)], ResourceConfig=resources)
            for _ in range(2)
        ]
        for job in jobs:
            place.ended(job)
            assert job.status == "Completed", job.state
            streams = place.streams(job)
            assert [name.split("/")[1].rpartition("-")[0] for name in streams] == ["algo-1", "algo-2", "algo-3"]
            first, second, third = streams.values()
            hosts = "['algo-1', 'algo-2', 'algo-3']"
            assert first[0] == f"algo-1 {hosts} ['0', '3']"
            assert sorted(first[1:]) == ["algo-2", "algo-3"]
            assert (second, third) == ([f"algo-2 {hosts} ['1', '4']"], [f"algo-3 {hosts} ['2']"])
            assert place.archive(f"out/{job.name}/output/model.tar.gz") == {
                "algo-1": b"algo-1",
                "algo-2": b"algo-2",
                "algo-3": b"algo-3",
                "shared": b"algo-1",
            }


def test_channels_of_some_groups(tmp_path: Path) -> None:
    """A channel that names instance groups is for their hosts only: others neither see nor share it."""
    script = """
import json, pathlib
ml = pathlib.Path("/opt/ml/input")
told = sorted(json.loads((ml / "config/inputdataconfig.json").read_text()))
print(told, *sorted(str(path.relative_to(ml / "data")) for path in (ml / "data").rglob("*")))
"""
    with cloud(tmp_path / "c") as place:
        for number in range(4):
            place.put(f"p/{number}", "x")
        groups = [
            {"InstanceGroupName": name, "InstanceType": "ml.m5.large", "InstanceCount": count}
            for name, count in (("first", 1), ("second", 2))
        ]
        of_second, of_both, of_all = channel("p", "some", sharded=True), channel("p/1", "both"), channel("p/2", "all")
        of_second["DataSource"]["S3DataSource"]["InstanceGroupNames"] = ["second"]
        of_both["DataSource"]["S3DataSource"]["InstanceGroupNames"] = ["second", "first"]
        job = place.python(
            script,
            InputDataConfig=[of_second, of_both, of_all],
            ResourceConfig={"InstanceGroups": groups, "VolumeSizeInGB": 1},
        )
        place.ended(job)
        assert job.status == "Completed", job.state
        assert place.lines(job) == [
            "['all', 'both'] all all/2 both both/1",
            "['all', 'both', 'some'] all all/2 both both/1 some some/0 some/2",
            "['all', 'both', 'some'] all all/2 both both/1 some some/1 some/3",
        ]


def test_one_host_fails(tmp_path: Path) -> None:
    """The job fails with the reason of the host that failed; the others are ended."""
    script = """
import os, sys, time
if os.environ["CURRENT_HOST"] == "algo-2":
    open("/opt/ml/output/failure", "w").write("I am algo-2")
    sys.exit(5)
time.sleep(600)
"""
    with cloud(tmp_path / "c") as place:
        resources = {"InstanceType": "ml.m5.large", "InstanceCount": 3, "VolumeSizeInGB": 1}
        job = place.ended(place.python(script, ResourceConfig=resources))
        assert job.state.failure_reason == "AlgorithmError: algo-2: I am algo-2, exit code: 5"


@given(st.lists(st.text(alphabet="ab./\\\0\ud800", max_size=8), max_size=6))
def test_paths_that_are_let_through(paths: list[str]) -> None:
    """Whatever the keys are: those that pass can all be files below one folder, and none is elsewhere."""
    try:
        check_paths(paths, "a test")
    except JobFailed:
        return
    root = Path("/folder/of/channel")
    for path in paths:
        assert root in (root / path).parents
        assert ".." not in Path(path).parts
        assert not any(Path(other) in Path(path).parents for other in paths)
    assert len(set(paths)) == len(paths)

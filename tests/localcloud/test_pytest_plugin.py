"""The fixtures, as users have them in suites of their own."""

from __future__ import annotations

import re
import subprocess
import sys
import textwrap

import pytest

pytest_plugins = ["pytester"]


def test_a_clean_cloud_for_each_test(pytester: pytest.Pytester) -> None:
    """One server for the session, nothing of one test in the next, and the environment led to it only meanwhile."""
    pytester.makepyfile(
        """
        import os, boto3, pytest

        seen = []

        @pytest.mark.parametrize("turn", [1, 2, 3])
        def test_one(local_cloud, faults, turn):
            assert boto3.client("s3").list_buckets()["Buckets"] == []
            boto3.client("s3").create_bucket(Bucket="data")
            assert local_cloud.call_counts() == {"s3:ListBuckets": 1, "s3:CreateBucket": 1}
            faults.add("access_denied", operation="s3:ListBuckets")
            seen.append(local_cloud.pid)
            assert len(set(seen)) == 1

        def test_outside():
            assert "AWS_ENDPOINT_URL" not in os.environ
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=4)


def test_a_test_may_kill_the_cloud(pytester: pytest.Pytester) -> None:
    """The next test gets another."""
    pytester.makepyfile(
        """
        import boto3, pytest

        @pytest.mark.parametrize("turn", [1, 2])
        def test_one(local_cloud, turn):
            assert boto3.client("s3").list_buckets()["Buckets"] == []
            local_cloud.kill()

        def test_other(local_cloud):
            local_cloud.control.shut_down()
            assert local_cloud.wait(60) == 0

        def test_last(local_cloud):
            assert local_cloud.jobs() == []
        """
    )
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=4)


@pytest.mark.parametrize("warnings", ["default", "error"])
def test_a_cloud_that_ends_between_two_tests(pytester: pytest.Pytester, warnings: str) -> None:
    """The next test gets another, with a warning that says how that one ended; where that is an error, the one after.

    A test run that makes errors of warnings loses one test by it, not all that follow.
    """
    pytester.makepyfile(
        """
        import os, signal, warnings
        import boto3, pytest

        pids = []

        def test_first(local_cloud):
            pids.append(local_cloud.pid)

        def test_that_does_harm():
            os.kill(pids[0], signal.SIGKILL)
            os.waitid(os.P_PID, pids[0], os.WEXITED | os.WNOWAIT)

        @pytest.mark.parametrize("turn", [1, 2])
        def test_next(local_cloud, turn):
            assert boto3.client("s3").list_buckets()["Buckets"] == []
        """
    )
    run = pytester.runpytest_subprocess("-p", "no:randomly", "-W", warnings)
    if warnings == "error":
        run.assert_outcomes(passed=3, errors=1)
    else:
        run.assert_outcomes(passed=4, warnings=1)
    run.stdout.fnmatch_lines("*The local cloud has ended (exit code -9). Its log ends:*")


def test_settings_of_ones_own(pytester: pytest.Pytester) -> None:
    """Overriding local_cloud_settings reaches both kinds of clouds."""
    pytester.makepyfile(
        """
        import boto3, pytest
        from cloudtune.localcloud import CloudSettings

        @pytest.fixture(scope="session")
        def local_cloud_settings():
            return CloudSettings(region="eu-west-1", account="210987654321")

        def test_server(local_cloud):
            assert boto3.client("sts").get_caller_identity()["Account"] == "210987654321"
            assert local_cloud.settings.region == "eu-west-1"

        def test_in_process(in_process_cloud):
            assert boto3.client("sts").get_caller_identity()["Account"] == "210987654321"
            assert in_process_cloud.call_counts() == {"sts:GetCallerIdentity": 1}
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=2)


def test_what_the_plugin_costs_who_does_not_use_it(pytester: pytest.Pytester) -> None:
    """Neither moto nor boto3 is imported, and no server is started."""
    pytester.makepyfile(
        """
        import sys

        def test_one():
            assert not {"moto", "boto3", "botocore", "flask"} & set(sys.modules)
        """
    )
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_the_fixtures_are_listed(pytester: pytest.Pytester) -> None:
    """`pytest --fixtures` shows them with what they are for: the entry point is installed."""
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--fixtures", "-q"],
        capture_output=True,
        text=True,
        cwd=pytester.path,
        check=False,
    )
    for name in ("local_cloud", "faults", "in_process_cloud", "local_cloud_settings"):
        assert re.search(rf"^{name}( \[session scope\])? -- .*pytest_plugin\.py", done.stdout, re.MULTILINE), (
            done.stdout
        )


def test_folders_with_settings_of_their_own(pytester: pytest.Pytester) -> None:
    """Each test has the settings that are nearest to it, whatever ran before; those with the same share a server."""
    conftest = """
        import pytest
        from cloudtune.localcloud import CloudSettings

        @pytest.fixture(scope="session")
        def local_cloud_settings():
            return CloudSettings(region="eu-west-{}")
    """
    test = """
        import boto3

        def test_region(local_cloud):
            assert boto3.client("sts").meta.region_name == "{}"
            with open("{}", "a") as file:
                file.write(str(local_cloud.pid) + " ")
    """
    regions = {"a": "eu-west-1", "b": "eu-west-2", "c": "eu-west-1", "d": "us-east-1"}
    pids = pytester.path / "pids"
    for folder, region in regions.items():
        pytester.mkpydir(folder)
        (pytester.path / folder / "test_region.py").write_text(textwrap.dedent(test).format(region, pids))
        if region != "us-east-1":
            (pytester.path / folder / "conftest.py").write_text(textwrap.dedent(conftest).format(region[-1]))
    pytester.runpytest_subprocess("-p", "no:randomly").assert_outcomes(passed=4)
    first, second, third, fourth = pids.read_text().split()
    assert first == third
    assert len({first, second, fourth}) == 3

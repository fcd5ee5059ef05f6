"""ListTrainingJobs: filters, order, pages."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.localcloud.services.small_sagemaker import SmallSagemaker, small_sagemaker


def names(sagemaker: SmallSagemaker, **asked: Any) -> list[str]:
    page = sagemaker.call("ListTrainingJobs", **asked)
    return [summary["TrainingJobName"] for summary in page["TrainingJobSummaries"]]


def pages(sagemaker: SmallSagemaker, **asked: Any) -> list[list[str]]:
    """The names on all pages."""
    found: list[list[str]] = []
    while True:
        page = sagemaker.call("ListTrainingJobs", **asked)
        found.append([summary["TrainingJobName"] for summary in page["TrainingJobSummaries"]])
        if "NextToken" not in page:
            return found
        asked["NextToken"] = page["NextToken"]


def some_jobs(sagemaker: SmallSagemaker) -> float:
    """Jobs c, a, b, ten seconds apart, of which the first has ended and the second is stopping; when they began."""
    began = sagemaker.clock.time()
    for name in ("c", "a", "b"):
        sagemaker.create(f"job-{name}")
        sagemaker.pass_time(10)
    sagemaker.job("job-c").finish("Completed", "Completed", "", warm_pool={"Status": "Available"})
    sagemaker.pass_time(10)
    sagemaker.job("job-a").want_stop()
    return began


def test_a_summary_tells_where_a_job_stands(sagemaker: SmallSagemaker) -> None:
    """Only what AWS's summaries have."""
    began = some_jobs(sagemaker)
    summary = sagemaker.call("ListTrainingJobs", NameContains="c")["TrainingJobSummaries"]
    assert summary == [
        {
            "TrainingJobName": "job-c",
            "TrainingJobArn": sagemaker.job("job-c").arn,
            "CreationTime": began,
            "LastModifiedTime": began + 30,
            "TrainingJobStatus": "Completed",
            "SecondaryStatus": "Completed",
            "WarmPoolStatus": {"Status": "Available"},
        }
    ]


@pytest.mark.parametrize(
    ("asked", "expected"),
    [
        ({}, "bac"),
        ({"SortOrder": "Ascending"}, "cab"),
        ({"SortBy": "Name"}, "cba"),
        ({"SortBy": "Name", "SortOrder": "Ascending"}, "abc"),
        ({"SortBy": "Status", "SortOrder": "Ascending"}, "cba"),
        ({"NameContains": "b-"}, "bac"),
        ({"NameContains": "-b"}, "b"),
        ({"StatusEquals": "InProgress"}, "b"),
        ({"StatusEquals": "Deleting"}, ""),
        ({"WarmPoolStatusEquals": "Available"}, "c"),
        ({"WarmPoolStatusEquals": "InUse"}, ""),
        ({"TrainingPlanArnEquals": f"arn:aws:sagemaker:us-east-1:123456789012:training-plan/{'x' * 9}"}, ""),
    ],
)
def test_filters_and_orders(sagemaker: SmallSagemaker, asked: dict[str, Any], expected: str) -> None:
    """Newest first unless said otherwise."""
    some_jobs(sagemaker)
    assert names(sagemaker, **asked) == [f"job-{name}" for name in expected]


@pytest.mark.parametrize(
    ("member", "seconds", "expected"),
    [
        ("CreationTimeAfter", 0, "ba"),
        ("CreationTimeAfter", 10, "b"),
        ("CreationTimeBefore", 10, "c"),
        ("CreationTimeBefore", 11, "ac"),
        ("LastModifiedTimeAfter", 30, "a"),
        ("LastModifiedTimeBefore", 30, "b"),
    ],
)
def test_filters_by_time(sagemaker: SmallSagemaker, member: str, seconds: float, expected: str) -> None:
    """After and before leave out the very moment."""
    began = some_jobs(sagemaker)
    assert names(sagemaker, **{member: began + seconds}) == [f"job-{name}" for name in expected]


def test_filters_come_before_paging(sagemaker: SmallSagemaker) -> None:
    """No page is short but the last one."""
    for number in range(12):
        job = sagemaker.create(f"{'even' if number % 2 == 0 else 'odd'}-{number}")
        if number % 3 == 0:
            job.want_stop()
    assert [len(page) for page in pages(sagemaker, NameContains="even", MaxResults=4)] == [4, 2]
    assert [len(page) for page in pages(sagemaker, StatusEquals="Stopping", MaxResults=2)] == [2, 2]


def test_a_page_has_ten_jobs_by_default(sagemaker: SmallSagemaker) -> None:
    """As on AWS; a full last page has no token."""
    for number in range(20):
        sagemaker.create(f"job-{number}")
    assert [len(page) for page in pages(sagemaker)] == [10, 10]


def test_a_token_belongs_to_its_request(sagemaker: SmallSagemaker) -> None:
    """Only the size of the page may change; a token that somebody edited is refused."""
    for number in range(5):
        sagemaker.create(f"job-{number}")
    token = sagemaker.call("ListTrainingJobs", MaxResults=2)["NextToken"]
    assert len(names(sagemaker, NextToken=token)) == 3
    assert sagemaker.refused("ListTrainingJobs", NextToken=token, SortBy="Name").message == "Invalid token"
    edited = token[:20] + ("A" if token[20] != "A" else "B") + token[21:]
    assert sagemaker.refused("ListTrainingJobs", NextToken=edited).message == "Invalid token"


def test_jobs_of_one_moment_are_each_listed_once(sagemaker: SmallSagemaker) -> None:
    """The clock stands still here: equal times are told apart by name."""
    for number in range(7):
        sagemaker.create(f"job-{number}")
    found = pages(sagemaker, MaxResults=2)
    assert sorted(name for page in found for name in page) == [f"job-{number}" for number in range(7)]


@settings(max_examples=60, deadline=None)
@given(
    sort_by=st.sampled_from(["Name", "CreationTime", "Status"]),
    order=st.sampled_from(["Ascending", "Descending"]),
    size=st.integers(1, 5),
    steps=st.lists(st.lists(st.sampled_from(["create", "stop", "finish", "delete"]), max_size=4), max_size=8),
    data=st.data(),
)
def test_pages_neither_double_nor_lose_a_job(
    sort_by: str, order: str, size: int, steps: list[list[str]], data: st.DataObject
) -> None:
    """Whatever is created, changed or deleted between the pages: each job that was there all along is told once."""
    with small_sagemaker() as sagemaker:
        for number in range(9):
            sagemaker.create(f"job-{data.draw(st.integers(0, 99))}-{number}")
            sagemaker.pass_time(data.draw(st.sampled_from([0.0, 1.0])))
        jobs = sagemaker.jobs.of("123456789012", "us-east-1")
        there = set(jobs)
        told: list[str] = []
        asked: dict[str, Any] = {"SortBy": sort_by, "SortOrder": order, "MaxResults": size}
        more, changes = True, iter(steps)
        while more:
            page = sagemaker.call("ListTrainingJobs", **asked)
            told += [summary["TrainingJobName"] for summary in page["TrainingJobSummaries"]]
            more = "NextToken" in page
            asked["NextToken"] = page.get("NextToken")
            sagemaker.pass_time()
            for change in next(changes, ()):
                name = data.draw(st.sampled_from(sorted(jobs) or [""]))
                if change == "create":
                    sagemaker.create(f"new-{data.draw(st.integers(0, 99))}-{len(told)}-{len(jobs)}-{len(there)}")
                elif name and change == "stop":
                    jobs[name].want_stop()
                elif name and change == "finish" and not jobs[name].is_terminal:
                    jobs[name].finish("Completed", "Completed", "")
                elif name and change == "delete":
                    del jobs[name]
                    there.discard(name)
        assert len(told) == len(set(told))
        assert there <= set(told)

"""Which values are secrets, and that no file with one of them travels."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudtune.aws.clients import Aws
from cloudtune.aws.source_files import SourceFile, read_file
from cloudtune.remote import secret_values as module
from cloudtune.remote.pickling import CannotShip
from cloudtune.remote.secret_values import check_files, check_text, secret_values

VALUE = "0123456789abcdef"


@pytest.mark.parametrize(
    "name",
    [
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
        "WANDB_API_KEY",
        "HF_TOKEN",
        "GITHUB_TOKEN",
        "DB_PASSWORD",
        "MLFLOW_TRACKING_PASSWORD",
        "client_secret",
        "APIKEY",
        "SECRETS",
        "GCP_CREDENTIALS",
        "GITHUB_PAT",
        "AZURE_DEVOPS_EXT_PAT",
        "MYSQL_PWD",
        "SMTP_PASS",
        "SSHPASS",
        "PGPASSWORD",
        "ghtoken",
        "AWS_SECRETKEY",
        "DJANGO_SECRET_KEY",
        "AZURE_STORAGE_KEY",
        "COSMOS_ACCOUNT_KEY",
        "DATA_ENCRYPTION_KEY",
    ],
)
def test_names_of_secrets_are_recognised(name: str) -> None:
    """By their parts, in either case."""
    assert secret_values({name: VALUE}) == {name: VALUE}


@pytest.mark.parametrize(
    "name",
    [
        "PATH",
        "AWS_ACCESS_KEY_ID",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "SSH_AUTH_SOCK",
        "TOKENIZERS_PARALLELISM",
        "AUTHOR",
        "KEYBOARD",
        "XAUTHORITY",
        "PWD",
        "OLDPWD",
        "PATH_PATTERN",
        "GLOB_PATHS",
        "CONDA_PYTHON_BYPASS",
        "AUTH_TYPE",
        "DB_AUTH_ENDPOINT",
        "DB_PASSWORD_FILE",
        "S3_OBJECT_KEY",
        "SECRETARY",
    ],
)
def test_other_names_are_none(name: str) -> None:
    """Places, and words that only look similar."""
    assert secret_values({name: VALUE}) == {}


@pytest.mark.parametrize(
    ("value", "secrets"),
    [
        ("postgresql://me:hunter2@db.example.com:5432/runs", {"login": "me:hunter2@db.example.com:5432"}),
        (f"redis://:{VALUE}@cache/0", {"login": f":{VALUE}@cache", "password": VALUE}),
        (
            f"https://me:{VALUE}@example.com/simple https://plain.example.com/simple",
            {"login": f"me:{VALUE}@example.com", "password": VALUE},
        ),
        (
            f"DefaultEndpointsProtocol=https;AccountName=me;AccountKey={VALUE}==;EndpointSuffix=x",
            {"password": f"{VALUE}=="},
        ),
        (f"Server=db;Database=runs;Uid=me;Pwd={VALUE};", {"password": VALUE}),
        ("postgresql://postgres:postgres@localhost:5432/test", {}),
        ("postgresql://db.example.com:5432/runs?sslmode=require", {}),
        ("https://example.com/a:b@c/d/e/f/g/h/i", {}),
        ("arn:aws:iam::123456789012:role/trainer@example.com", {}),
    ],
)
def test_passwords_within_addresses_and_settings(value: str, secrets: dict[str, str]) -> None:
    """Whatever the variable is called; without a password, or with one that is the user's name, it is none."""
    found = secret_values({"DATABASE_URL": value})
    assert found == {f"the {what} in DATABASE_URL": part for what, part in secrets.items()}


def test_several_addresses_are_told_apart() -> None:
    """Each is looked for."""
    found = secret_values({"PIP_EXTRA_INDEX_URL": f"https://a:{VALUE}1@one.org https://b:{VALUE}2@two.org"})
    assert found == {
        "the password in PIP_EXTRA_INDEX_URL": f"{VALUE}1",
        "the login in PIP_EXTRA_INDEX_URL": f"a:{VALUE}1@one.org",
        "the password in PIP_EXTRA_INDEX_URL (2)": f"{VALUE}2",
        "the login in PIP_EXTRA_INDEX_URL (2)": f"b:{VALUE}2@two.org",
    }


def test_short_values_and_paths_are_none() -> None:
    """``DB_PASSWORD=test`` would be found everywhere; a path is where a secret lies."""
    assert secret_values({"DB_PASSWORD": VALUE[:-1], "GOOGLE_APPLICATION_CREDENTIALS": __file__}) == {}


def test_credentials_of_the_session_are_secrets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Most have theirs in a file, not in the environment; the names tell where to look."""
    credentials = tmp_path / "credentials"
    written = f"[work]\naws_access_key_id = AKIA\naws_secret_access_key = {VALUE}\naws_session_token = {VALUE}-token\n"
    credentials.write_text(written)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(credentials))
    assert secret_values({}, Aws("us-east-1", "work")) == {
        "the AWS secret access key": VALUE,
        "the AWS session token": f"{VALUE}-token",
    }
    assert secret_values({}, Aws("us-east-1")) == {}
    credentials.write_text("[short]\naws_access_key_id = AKIA\naws_secret_access_key = testing\n")
    assert secret_values({}, Aws("us-east-1", "short")) == {}  # of some stand-in for AWS: the word is everywhere
    credentials.write_text(written)
    assert set(secret_values({"AWS_SECRET_ACCESS_KEY": VALUE}, Aws("us-east-1", "work"))) == {
        "AWS_SECRET_ACCESS_KEY",
        "the AWS session token",
    }


def file_with(folder: Path, content: bytes) -> SourceFile:
    path = folder / "settings.py"
    path.write_bytes(content)
    return read_file(path, path.name)


def test_a_file_with_a_secret_is_refused_without_showing_it(tmp_path: Path) -> None:
    """The message names file and variable."""
    file = file_with(tmp_path, f"KEY = '{VALUE}'".encode())
    with pytest.raises(CannotShip, match=r"settings\.py holds the value of HF_TOKEN.*\.cloudtuneignore") as caught:
        check_files([file], {"HF_TOKEN": VALUE, "OTHER": VALUE * 2})
    assert VALUE not in str(caught.value)
    check_files([file], {"OTHER": VALUE * 2})
    check_files([file], {})


@given(before=st.integers(0, 80), piece=st.integers(1, 40), lengths=st.lists(st.integers(16, 40), min_size=1))
def test_a_secret_is_found_wherever_in_a_file_it_lies(
    tmp_path_factory: pytest.TempPathFactory, before: int, piece: int, lengths: list[int]
) -> None:
    """Files are read in pieces; a value may lie across the end of one, or of several."""
    secrets = {f"KEY_{length}": "s" * (length - 1) + "e" for length in lengths}
    file = file_with(tmp_path_factory.mktemp("file"), b"x" * before + b"s" * (max(lengths) - 1) + b"e" + b"x" * 7)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_PIECE", piece)
        with pytest.raises(CannotShip):
            check_files([file], secrets)


def test_a_requirement_with_a_password_is_refused() -> None:
    """Addresses of private indexes often hold one."""
    lines = f"--extra-index-url https://me:{VALUE}@example.com/simple"
    with pytest.raises(CannotShip, match="requirements holds the value of PIP_TOKEN"):
        check_text(lines, "the list of requirements", {"PIP_TOKEN": VALUE})
    check_text(lines, "the list of requirements", {"PIP_TOKEN": VALUE + "1"})

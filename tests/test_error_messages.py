"""What the errors of SageMaker's part say: each message in its source is one plain sentence with thing and remedy.

Read from the source, so that none is left out: what is filled in at run time stands as ``{}``.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import cloudtune
from cloudtune.aws.errors import CODES, AwsError, classify_code

PACKAGE = Path(cloudtune.__file__).parent
FOLDERS = ("aws", "backend/sagemaker_backend")
#: Not told to users: what cannot happen, what Python asks of modules, and what callers within the package catch.
NOT_FOR_USERS = {"AssertionError", "AttributeError", "Cancelled"}
#: What joins the thing and what to do about it, or says how it has to be instead.
REMEDY = re.compile(r"[;:?] |, or | must | may |\{\}$")
#: A value filled in, or something by the name that it has in programs or at AWS.
THING = re.compile(r"\{\}|\w_\w|[a-z]=|\w\(|[A-Z][a-z]+[A-Z]|AWS|SDK|Session\b|entry point|backend")


def messages() -> Iterator[tuple[str, str]]:
    """Place and text of each message."""
    for folder in FOLDERS:
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call) and node.exc.args:
                    text = text_of(node.exc.args[0])
                    # Texts that are made elsewhere are not in this place's source.
                    if ast.unparse(node.exc.func) not in NOT_FOR_USERS and re.search(r"\w", text.replace("{}", "")):
                        yield f"{path.name}:{node.lineno}", text


def text_of(node: ast.expr) -> str:
    """An expression as the text that it makes."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(text_of(part) for part in node.values)
    if isinstance(node, ast.BinOp):
        return text_of(node.left) + text_of(node.right)
    return "{}"


ALL = list(messages())


def test_all_messages_are_found() -> None:
    """There are about a hundred: a rule that nothing is held against would say nothing."""
    assert len(ALL) > 80
    assert any("names no S3 bucket" in text for _, text in ALL)


@pytest.mark.parametrize("text", [pytest.param(text, id=place) for place, text in ALL])
def test_a_message_is_one_plain_sentence(text: str) -> None:
    """On one line, about something by its name, with what to do; either a sentence or a clause, not half each."""
    assert "\n" not in text
    assert "  " not in text
    assert not re.search(r"[a-z)]\. [A-Z]", text), "one sentence"
    assert THING.search(text), "names the thing"
    assert REMEDY.search(text), "says what to do"
    if text[0].isalpha() and not re.match(r"\w+_\w+|Cadence:", text):
        assert text[0].isupper() == text.endswith((".", "?")) or not text[1].islower()


@pytest.mark.parametrize("code", sorted(CODES))
def test_what_aws_says_becomes_one_sentence(code: str) -> None:
    """Whatever AWS's text looks like: the call, AWS's words and the remedy, ended by one full stop."""
    error: AwsError = classify_code(code, "No.\nReally  not.", "s3:PutObject of s3://data/key")
    text = str(error)
    assert text.startswith("s3:PutObject of s3://data/key ")
    assert re.fullmatch(r"[^\n]*[^.]\.", text)
    assert "; " in text
    assert "Really not)" in text or "wrong region" in text

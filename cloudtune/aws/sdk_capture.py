"""Takes from an SDK the request it would send by its public face, where its inner functions are not as we know them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_EVENT = "provide-client-params.sagemaker.CreateTrainingJob"


class _Taken(Exception):
    """Ends the SDK's call. Derived from Exception: the SDKs swallow what is derived from BaseException alone."""


def captured_request(client: Any, start: Callable[[], object]) -> dict[str, Any]:
    """The parameters with which ``start`` calls CreateTrainingJob on ``client``; the call itself is not made.

    Raises:
        RuntimeError: ``start`` made no such call.
    """
    seen: list[dict[str, Any]] = []

    def take(params: dict[str, Any], **_: Any) -> None:
        seen.append(params)
        raise _Taken

    client.meta.events.register(_EVENT, take)
    try:
        start()
    except _Taken:
        pass
    finally:
        client.meta.events.unregister(_EVENT, take)
    if not seen:
        raise RuntimeError("the SageMaker SDK started no training job; describe the job as a cloudtune TrainingJob")
    return seen[0]

"""Flink's REST interface, as far as it is needed."""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from typing import Any

from govlab.errors import ServiceError

__all__ = ["Rest"]


class Rest:
    """Asks a JobManager.

    Parameters
    ----------
    address : str
        ``http://host:port``.
    """

    def __init__(self, address: str) -> None:
        self.address = address.rstrip("/")

    def ask(self, path: str, method: str = "GET", body: Any = None) -> Any:
        """Give the answer as plain values.

        Raises
        ------
        ServiceError
            Nobody answers, or the answer is that it cannot be done.
        """
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.address}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read()
                return json.loads(text) if text else {}
        except urllib.error.HTTPError as error:
            told = error.read().decode(errors="replace")
            try:
                told = "; ".join(str(one).splitlines()[0] for one in json.loads(told)["errors"] if str(one).strip())
            except (ValueError, KeyError, TypeError):
                told = told[:300]
            raise ServiceError(f"Flink at {self.address} refuses {method} {path}: {told}") from None
        except (OSError, http.client.HTTPException) as error:
            raise ServiceError(
                f"no Flink answers at {self.address} ({error}): is the cluster up, and is the address right?"
            ) from None

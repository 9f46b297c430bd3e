import gzip
import hashlib

import pytest

from govlab import datasets
from govlab.datasets import checksums


@pytest.fixture(scope="package")
def day():
    """The community as it is by default."""
    return datasets.community()


@pytest.fixture
def originals(tmp_path, monkeypatch):
    """An empty folder of originals, named by GOVLAB_DATA, whose files are accepted as they are put there."""
    monkeypatch.setenv("GOVLAB_DATA", str(tmp_path))

    def put(file, text):
        path = tmp_path / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(gzip.compress(text.encode()) if file.endswith(".gz") else text.encode())
        monkeypatch.setitem(checksums.SHA256, file, hashlib.sha256(path.read_bytes()).hexdigest())
        return path

    return put

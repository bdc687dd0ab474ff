"""Uploads that are too large for memory lie in files that vanish with their process."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.test import RequestFactory

KILLED_WHILE_IT_RECEIVES = """
import os, signal
from django.conf import settings
settings.configure()
from runway.uploads import NamelessFileUploadHandler
handler = NamelessFileUploadHandler()
handler.new_file("file", "scores.csv", "text/csv", None)
handler.receive_data_chunk(b"604822,Ada Example\\n" * 100_000, 0)
handler.file.flush()
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.slow
def test_a_process_that_is_killed_in_an_upload_leaves_nothing(tmp_path):
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_WHILE_IT_RECEIVES],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert killed.returncode == -9
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [3, 3 * 1024 * 1024])
def test_a_file_arrives_whole_whatever_its_size(size):
    content = b"x" * size
    request = RequestFactory().post("/", {"file": NamedBytes("scores.csv", content)})
    (uploaded,) = request.FILES.getlist("file")
    assert (uploaded.name, uploaded.size, uploaded.read()) == ("scores.csv", size, content)
    assert uploaded.seek(0) == 0
    assert b"".join(uploaded.chunks()) == content


class NamedBytes:
    """What Django's test client sends as a file."""

    def __init__(self, name: str, content: bytes) -> None:
        self.name, self._content = name, content

    def read(self) -> bytes:
        return self._content

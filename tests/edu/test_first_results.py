"""The first results of a process, converted in several threads at once."""

import subprocess
import sys

import pytest

from tests.settings import BASE_DIR

pytestmark = pytest.mark.slow

# A process of its own, since the connector initializes itself once. Threads switch as often as
# possible. Without _convert_a_first_result, all of them stand still.
PROGRAM = """
import faulthandler, io, sys, threading
from edu.connect import _import_connector

faulthandler.dump_traceback_later(60, exit=True)
_import_connector()

import pyarrow
from snowflake.connector.arrow_context import ArrowConverterContext
from snowflake.connector.nanoarrow_arrow_iterator import PyArrowTableIterator

kind = {"logicalType": "TEXT", "charLength": "9", "byteLength": "36", "finalType": "T"}
schema = pyarrow.schema([pyarrow.field("LINE", pyarrow.string(), metadata=kind)])
content = io.BytesIO()
with pyarrow.ipc.new_stream(content, schema) as stream:
    stream.write_batch(pyarrow.record_batch([pyarrow.array(["x" * 9] * 1000)], schema=schema))
together, counts = threading.Barrier(6), []

def convert():
    context = ArrowConverterContext({"TIMEZONE": "UTC"})
    together.wait()
    tables = PyArrowTableIterator(
        None, content.getvalue(), context, False, False, False, False, False
    )
    counts.append(sum(table.num_rows for table in tables))

threads = [threading.Thread(target=convert) for _ in range(6)]
sys.setswitchinterval(1e-6)
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(counts)
"""


def test_first_results_in_several_threads_do_not_stop_the_process():
    ran = subprocess.run(
        (sys.executable, "-c", PROGRAM), cwd=BASE_DIR, capture_output=True, text=True, timeout=120
    )
    assert ran.stdout.split("\n")[0] == str([1000] * 6), ran.stderr

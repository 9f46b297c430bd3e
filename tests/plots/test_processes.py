"""The plots in processes of their own: a kernel without a front end, and an import."""

import subprocess
import sys

import nbclient
import nbformat


def test_a_notebook_without_a_front_end_has_the_same_small_outputs_every_time():
    cells = [
        "import pandas as pd\nfrom streamz import Stream\nfrom govlab import plots\nstream = Stream()",
        "plots.Timeline(stream)",
        "for _ in range(5):\n    stream.emit(pd.DataFrame({'time': pd.to_datetime(['2020-01-01'], utc=True)}))",
        "plots.Timeline(stream) + plots.AlertRaster(stream)",
    ]
    seen = []
    for _ in range(2):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
        nbclient.NotebookClient(notebook, kernel_name="python3").execute()
        seen.append([output["data"] for cell in notebook.cells for output in cell.outputs])
    assert seen[0] == seen[1]
    assert seen[0][0] == {"text/plain": ":DynamicMap   []"}
    assert len(str(seen[0])) < 500


def test_importing_the_room_loads_nothing_heavy():
    code = "import sys, govlab.plots; print([m for m in ('holoviews', 'bokeh', 'pandas', 'panel') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"

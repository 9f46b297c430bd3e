"""Runs a query and writes its rows, in order: ``python -m govlab.engines.flink.query SPEC``, in the environment of the cluster."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from pyflink.common import Configuration
from pyflink.table import EnvironmentSettings, TableEnvironment

from govlab.engines.flink.folder import read_spec


def main(place: str) -> None:
    """Make the tables that a file describes, run its query, and write columns and rows beside it."""
    told, folder = read_spec(Path(place)), Path(place).parent
    configuration = Configuration()
    for name, value in told["settings"].items():
        configuration.set_string(name, str(value))
    tables = TableEnvironment.create(EnvironmentSettings.new_instance().in_batch_mode().with_configuration(configuration).build())
    for statement in told["tables"]:
        tables.execute_sql(statement)
    query = tables.sql_query(told["query"])
    columns = {
        column.getName(): column.getDataType().getLogicalType().asSerializableString()
        for column in query._j_table.getResolvedSchema().getColumns()
    }
    tables.create_temporary_view("govlab_query", query)
    typed = ", ".join(f"`{name}` {kind}" for name, kind in columns.items())
    tables.execute_sql(
        f"CREATE TABLE govlab_rows ({typed}) WITH ('connector' = 'filesystem', 'path' = 'file://{folder}/written', "
        "'format' = 'json', 'json.timestamp-format.standard' = 'ISO-8601', 'sink.rolling-policy.file-size' = '1TB')"
    )
    # ordered by all that a row says, so that nothing depends on which task gave it
    order = ", ".join(f"`{name}`" for name in dict.fromkeys([told["time"], *columns]))
    tables.execute_sql(f"INSERT INTO govlab_rows SELECT * FROM govlab_query ORDER BY {order}").wait()
    (folder / "columns.json").write_text(json.dumps(columns))


if __name__ == "__main__":
    main(sys.argv[1])

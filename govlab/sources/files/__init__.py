"""Files as a source: CSV, ndjson and Parquet, plain or packed, from any file system that fsspec knows."""

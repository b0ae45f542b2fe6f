"""Names of the formats that rows travel in."""

ARROW = "application/vnd.apache.arrow.stream"
PARQUET = "application/vnd.apache.parquet"
CSV = "text/csv"
TYPES = {"json": "application/json", "arrow": ARROW, "parquet": PARQUET, "csv": CSV}

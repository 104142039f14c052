"""Tables that come with one query: received, converted to Parquet, read as `TAP_UPLOAD.<name>`, removed."""

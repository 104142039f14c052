"""The Web APIs answer a catalogue query."""

import csv
import os
import urllib.parse
import urllib.request

query = {"LANG": "ADQL", "FORMAT": "csv", "QUERY": "SELECT TOP 1 schema_name FROM tap_schema.schemas"}
address = f"{os.environ['API']}/api/tap/sync?{urllib.parse.urlencode(query)}"
with urllib.request.urlopen(address, timeout=60) as answer:
    rows = list(csv.reader(answer.read().decode().splitlines()))
print(rows)
if rows[0] != ["schema_name"] or len(rows[1:]) != 1:
    raise SystemExit(f"The Web APIs answered a query of one row with {rows}.")

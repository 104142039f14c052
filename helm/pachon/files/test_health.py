"""Every process answers that it is well."""

import json
import os
import urllib.request

for name in ("HUB", "API", "PORTAL", "PROXY"):
    with urllib.request.urlopen(os.environ[f"{name}_HEALTH"], timeout=10) as answer:
        print(name.lower(), answer.status)

with urllib.request.urlopen(os.environ["API_HEALTH"], timeout=10) as answer:
    told = json.load(answer)
if told["status"] != "ok":
    raise SystemExit(f"The Web APIs are {told['status']}: {told['parts']}")

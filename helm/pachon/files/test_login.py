"""A demo account logs in through the proxy."""

import http.cookiejar
import json
import os
import urllib.parse
import urllib.request

jar = http.cookiejar.CookieJar()
browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(jar))
address = f"{os.environ['PROXY']}/hub/login"
browser.open(address, timeout=20).read()
(mark,) = [cookie.value for cookie in jar if cookie.name == "_xsrf"]
password = json.loads(os.environ["DEMO_PASSWORDS"])["astronomer"]
form = {"username": "astronomer", "password": password, "_xsrf": mark}
with browser.open(address, urllib.parse.urlencode(form).encode(), timeout=20) as answer:
    if not answer.url.endswith("/hub/home"):
        raise SystemExit(f"The login led to {answer.url}.")
print("logged in")

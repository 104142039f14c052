UV := .venv/bin/uv
LOCK := $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header --no-annotate
lock:
	$(LOCK) --extra build --extra hub --extra portal --extra lab pyproject.toml -o requirements/platform.txt
	$(LOCK) --extra build --extra hub --extra portal --extra lab --extra dev -c requirements/platform.txt pyproject.toml -o requirements/dev.txt

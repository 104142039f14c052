"""The policy: principal x release x day x kind of access -> allowed, or why not."""

"""The composition root: settings, wiring, the web application, the commands and the supervisor."""

"""Jobs: requests that are answered later (UWS 1.1, IVOA REC 2016-10-24). A job is a request and its state."""

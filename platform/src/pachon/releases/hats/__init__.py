"""HATS catalogues: Parquet partitioned by HEALPix pixel and sorted by position (IVOA Note HATS 1.0)."""

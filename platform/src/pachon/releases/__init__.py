"""What exists: releases, their schemas and lifecycle, and the HATS storage of their catalogues."""

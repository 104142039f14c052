"""Pure building blocks: errors, sky shapes, HEALPix, fields, ids, clock. No input or output, no web framework."""

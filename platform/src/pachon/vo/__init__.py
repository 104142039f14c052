"""Protocol grammar shared by all services: DALI parameters, VOTable streaming, VOSI documents, error documents."""

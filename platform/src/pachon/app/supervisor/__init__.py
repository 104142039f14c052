"""The supervisor of one machine: starts every process of the platform, restarts those that end, leaves none behind."""

"""Asking catalogues: ADQL to a typed bound plan, engines that run plans, executions that are kept, density tiles."""

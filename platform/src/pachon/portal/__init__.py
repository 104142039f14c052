"""The Portal: a Panel application, client of the Web APIs."""

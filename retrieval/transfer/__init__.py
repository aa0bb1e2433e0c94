"""Files over HTTP for whoever needs one: models and data sets come the same way."""

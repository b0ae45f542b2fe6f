"""The page of a centre: its components, data sets, tokens and alerts (``ptolemy web``)."""

"""The service: a Tushare face and a native face over one core (``ptolemy serve``)."""

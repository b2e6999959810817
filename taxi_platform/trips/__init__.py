"""The trips that are loaded: columns, colours, months, load records."""

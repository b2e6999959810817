"""The tutorial: small examples of Dagster, each readable in a minute and a module of its own."""

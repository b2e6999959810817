"""The tutorial: small examples, each readable in a minute."""

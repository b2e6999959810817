"""What the tests run against: servers that are real, small, and gone when the tests end. No tests here."""

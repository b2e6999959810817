"""Published files: downloaded, validated and kept on local disk."""

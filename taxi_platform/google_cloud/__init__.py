"""Google Cloud: credentials, clients, bucket and dataset, shared by the destinations bigquery and lake."""

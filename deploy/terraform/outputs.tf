output "settings" {
  description = "The platform's settings: for .env, or for the ConfigMap in deploy/kubernetes/platform.yaml."
  value = {
    GCP_PROJECT_ID  = var.project
    GCP_LOCATION    = var.location
    GCP_BUCKET_NAME = google_storage_bucket.lake.name
    GCP_DATASET     = google_bigquery_dataset.warehouse.dataset_id
  }
}

output "service_account" {
  description = "The service account: for a machine, or for the annotation in deploy/kubernetes/platform.yaml."
  value       = google_service_account.platform.email
}

# What the destination bigquery uses: a bucket, a dataset, and a service account with roles on these two, and on the project the role that runs BigQuery jobs. No key is
# created: pods use the account through Workload Identity, a machine runs as it.

resource "google_project_service" "used" {
  for_each = toset(["bigquery.googleapis.com", "iam.googleapis.com", "storage.googleapis.com"])

  service            = each.key
  disable_on_destroy = false
}

resource "google_storage_bucket" "lake" {
  name                        = var.bucket
  location                    = var.location
  uniform_bucket_level_access = true
  public_access_prevention    = "enforced"

  # Parts of unfinished uploads are billed like objects.
  lifecycle_rule {
    condition {
      age = 7
    }
    action {
      type = "AbortIncompleteMultipartUpload"
    }
  }

  depends_on = [google_project_service.used]
}

resource "google_bigquery_dataset" "warehouse" {
  dataset_id  = var.dataset
  location    = var.location
  description = "New York's taxi trips."

  depends_on = [google_project_service.used]
}

# The dbt models of the destination: <dataset>_marts.
resource "google_bigquery_dataset" "marts" {
  dataset_id  = "${var.dataset}_marts"
  location    = var.location
  description = "Marts of New York's taxi trips."

  depends_on = [google_project_service.used]
}

resource "google_service_account" "platform" {
  account_id   = "taxi-platform"
  display_name = "taxi-platform"
  description  = "Loads trips into the bucket and the dataset."

  depends_on = [google_project_service.used]
}

# Write, replace and read objects. BigQuery reads the objects of external tables as this account, too.
resource "google_storage_bucket_iam_member" "objects" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectUser"
  member = google_service_account.platform.member
}

# See that the bucket exists (storage.buckets.get), which the role above does not include.
resource "google_storage_bucket_iam_member" "bucket" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.legacyBucketReader"
  member = google_service_account.platform.member
}

# Create, write, read and replace tables of these datasets.
resource "google_bigquery_dataset_iam_member" "tables" {
  for_each = {
    trips = google_bigquery_dataset.warehouse.dataset_id
    marts = google_bigquery_dataset.marts.dataset_id
  }

  dataset_id = each.value
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.platform.member
}

# Run jobs, which belong to a project and not to a dataset.
resource "google_project_iam_member" "jobs" {
  project = var.project
  role    = "roles/bigquery.jobUser"
  member  = google_service_account.platform.member
}

# Dagster's webserver and daemon, where the pods' output is stored in the bucket: objects below dagster-logs/ only.
resource "google_service_account" "dagster" {
  count = var.dagster_service_account == null ? 0 : 1

  account_id   = "taxi-dagster"
  display_name = "taxi-dagster"
  description  = "Shows the output of runs in the web interface."

  depends_on = [google_project_service.used]
}

resource "google_storage_bucket_iam_member" "log_objects" {
  count = var.dagster_service_account == null ? 0 : 1

  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectUser"
  member = google_service_account.dagster[0].member

  condition {
    title      = "dagster-logs"
    expression = "resource.name.startsWith('projects/_/buckets/${google_storage_bucket.lake.name}/objects/dagster-logs/')"
  }
}

resource "google_storage_bucket_iam_member" "log_bucket" {
  count = var.dagster_service_account == null ? 0 : 1

  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.legacyBucketReader"
  member = google_service_account.dagster[0].member
}

resource "google_service_account_iam_member" "dagster" {
  count = var.dagster_service_account == null ? 0 : 1

  service_account_id = google_service_account.dagster[0].name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.dagster_service_account}]"
}

resource "google_service_account_iam_member" "pods" {
  count = var.kubernetes_service_account == null ? 0 : 1

  service_account_id = google_service_account.platform.name
  role               = "roles/iam.workloadIdentityUser"
  member             = "serviceAccount:${var.project}.svc.id.goog[${var.kubernetes_service_account}]"
}

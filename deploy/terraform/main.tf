# What the Google leg uses, and nothing else: a bucket, a dataset, and an account that may use these two. No key is made:
# pods get the account by Workload Identity, a machine by being given it.

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

  # Parts of uploads that broke off are paid for like objects.
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

resource "google_service_account" "platform" {
  account_id   = "taxi-platform"
  display_name = "taxi-platform"
  description  = "Loads trips into the lake and the warehouse."

  depends_on = [google_project_service.used]
}

# Objects: write, replace, read. BigQuery reads the external tables' objects as this account too.
resource "google_storage_bucket_iam_member" "objects" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.objectUser"
  member = google_service_account.platform.member
}

# To see that the bucket is there (storage.buckets.get), which the role above leaves out.
resource "google_storage_bucket_iam_member" "bucket" {
  bucket = google_storage_bucket.lake.name
  role   = "roles/storage.legacyBucketReader"
  member = google_service_account.platform.member
}

# Tables of this dataset: make, write, read, replace.
resource "google_bigquery_dataset_iam_member" "tables" {
  dataset_id = google_bigquery_dataset.warehouse.dataset_id
  role       = "roles/bigquery.dataEditor"
  member     = google_service_account.platform.member
}

# To run jobs, which belong to a project and not to a dataset.
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

variable "project" {
  description = "Project id: GCP_PROJECT_ID."
  type        = string
}

variable "location" {
  description = "Region of the bucket and the dataset, which must be the same: GCP_LOCATION."
  type        = string
  default     = "us-central1"
}

variable "bucket" {
  description = "Name of the bucket, unique in all of Google Cloud: GCP_BUCKET_NAME."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$", var.bucket))
    error_message = "A bucket's name has 3 to 63 lower case letters, digits, hyphens, underscores and dots."
  }
}

variable "dataset" {
  description = "Name of the dataset: GCP_DATASET."
  type        = string
  default     = "zoomcamp"

  validation {
    condition     = can(regex("^[A-Za-z0-9_]+$", var.dataset))
    error_message = "A dataset's name has letters, digits and underscores only."
  }
}

variable "dagster_service_account" {
  description = "The chart's own account, as namespace/name, to store the pods' output in the bucket; null where it is not stored."
  type        = string
  default     = null
}

variable "kubernetes_service_account" {
  description = "Kubernetes service account that acts as the platform, as namespace/name; null without a cluster."
  type        = string
  default     = null
}

#!/usr/bin/env bash
# Holds the alert rules against Prometheus' own checks and their unit tests. Needs promtool: apt-get install prometheus.
set -euo pipefail
cd "$(dirname "$0")/../../deploy/prometheus"
command -v promtool >/dev/null || { echo 'promtool: none here: apt-get install prometheus' >&2; exit 1; }
promtool check config scrape.yaml
promtool test rules alerts.test.yaml

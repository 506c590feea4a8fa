"""Reads metrics on its input with the parser of Prometheus' own client, and writes what it made of them as JSON: a list of
families with name, type, help and samples. Fails where the parser does."""

import json
import math
import sys

from prometheus_client.parser import text_string_to_metric_families


def number(value):
    # JSON has no other numbers.
    return value if math.isfinite(value) else str(value)


json.dump(
    [
        {
            "name": family.name,
            "type": family.type,
            "help": family.documentation,
            "samples": [
                {"name": sample.name, "labels": sample.labels, "value": number(sample.value)}
                for sample in family.samples
            ],
        }
        for family in text_string_to_metric_families(sys.stdin.read())
    ],
    sys.stdout,
)

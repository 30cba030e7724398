"""Complete configurations, as the workflow has them."""

from pathlib import Path

from mebold.jobs import configuration

SCHEMAS = Path(__file__).resolve().parents[1] / "workflow" / "schemas"


def completed(config: dict) -> dict:
    """Return a configuration with the defaults of the project's schema."""
    return configuration.complete(config, configuration.load_schema(SCHEMAS / "config.schema.yaml"))

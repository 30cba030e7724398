"""Errors that a user can act on: one class per cause, all of them ``ValueError``."""


class MeboldError(ValueError):
    """Base of every error that the workflow raises on purpose."""


class ConfigError(MeboldError):
    """A key of the configuration is unknown, missing or has an unusable value."""


class MetadataError(MeboldError):
    """A BIDS sidecar key or file name is missing, wrong or contradicts another one."""


class GridMismatchError(MeboldError):
    """Two arrays or images that must share a grid do not."""


class DataError(MeboldError):
    """The voxel values themselves cannot be used: empty, unreadable, not finite, too short."""

"""
Name every way an object can fail, by whose fault it is and whether a retry helps.

    PipelineError
    |-- ConfigError                 the operator: a bad setting, 401/403; the message names the fix
    |-- RetriableError              the same object may work later
    |   |-- SourceUnavailableError  S3: throttled, timed out, body cut by the network
    |   |-- SinkUnavailableError    Elasticsearch: no answer, 429 or 5xx until the deadline
    |   `-- ClusterRefusedError     the cluster or its operator; the message names the fix
    |-- PermanentError              the same object fails again
    |   |-- ObjectMissingError      no such key: counted, acknowledged, warned
    |   |-- ObjectCorruptError      damaged gzip: whole lines before the damage are indexed
    |   |-- ObjectNotAlbError       most of its lines are no ALB log lines
    |   `-- NotificationError       a message that should name an object names none
    `-- AccountingError             our fault: the lines do not add up

Lines never raise: a line that does not parse is a value (`Unparsed`), and ends as a dead letter.
"""


class PipelineError(Exception):
    """Cover every error that this package raises on purpose."""


class ConfigError(PipelineError):
    """Tell the operator which setting or permission is wrong, and the fix."""


class RetriableError(PipelineError):
    """Fail this object now; the same object may work later."""


class SourceUnavailableError(RetriableError):
    """S3 did not deliver the object's bytes this time."""


class ObjectChangedError(SourceUnavailableError):
    """Another version is there than the one that reading began with."""


class SinkUnavailableError(RetriableError):
    """Elasticsearch did not take the documents before the deadline."""


class ClusterRefusedError(RetriableError):
    """Elasticsearch refuses for a cause its operator must mend; nothing is dead-lettered for it."""


class PermanentError(PipelineError):
    """Fail this object; trying again gives the same."""


class ObjectMissingError(PermanentError):
    """The object is not there (any more)."""


class ObjectCorruptError(PermanentError):
    """The object is damaged; `truncated` counts the unfinished last line (0 or 1)."""

    def __init__(self, message: str, *, truncated: int = 0) -> None:
        super().__init__(message)
        self.truncated = truncated


class ObjectNotAlbError(PermanentError):
    """Most lines of the object are no ALB log lines."""


class NotificationError(PermanentError):
    """A message that should name an object can not be read, or names none."""


class AccountingError(PipelineError):
    """Lines read and lines accounted for differ: a defect of this package."""

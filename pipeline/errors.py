"""
List every way an object can fail: whose fault it is, and whether a retry helps.

    PipelineError
    |-- ConfigError                 the operator: a bad setting, 401/403; the message names the fix
    |-- RetriableError              the same object may work later
    |   |-- SourceUnavailableError  S3: throttled, timed out, body cut by the network
    |   |-- SinkUnavailableError    Elasticsearch: no answer, 429 or 5xx until the deadline
    |   `-- ClusterRefusedError     the cluster or its operator; the message names the fix
    |-- PermanentError              the same object fails again
    |   |-- ObjectMissingError      no such key: counted, acknowledged, warned
    |   |-- ObjectCorruptError      damaged gzip: whole lines before the damage are indexed
    |   |-- ObjectNotAlbError       most of its lines are not ALB log lines
    |   `-- NotificationError       a message that should name an object names none
    |-- AccountingError             our fault: the lines do not add up
    `-- DefectError                 our fault: an exception that nobody foresaw

A line never raises: one that does not parse is a value (`Unparsed`) and becomes a dead letter.
"""


class PipelineError(Exception):
    """Any error that this package raises on purpose."""

    has_lines = False
    """Whether the message has several lines, all of them ours or AWS's."""


class ConfigError(PipelineError):
    """A setting or permission is wrong; the message names it and the fix."""


class RetriableError(PipelineError):
    """This object fails now, and may work later."""


class SourceUnavailableError(RetriableError):
    """S3 did not deliver the object's bytes this time."""


class ObjectChangedError(SourceUnavailableError):
    """The object is no longer the version that was announced, or that reading began with."""


class SinkUnavailableError(RetriableError):
    """Elasticsearch did not take the documents before the deadline."""


class ClusterRefusedError(RetriableError):
    """Elasticsearch refuses for a cause that its operator must fix; nothing is dead-lettered."""


class PermanentError(PipelineError):
    """This object fails, and will fail again."""


class ObjectMissingError(PermanentError):
    """The object does not exist, or no longer."""


class ObjectCorruptError(PermanentError):
    """The object is damaged; `truncated` counts the unfinished last line (0 or 1)."""

    def __init__(self, message: str, *, truncated: int = 0) -> None:
        super().__init__(message)
        self.truncated = truncated


class TooManyRejectsError(PermanentError):
    """More lines of the object are rejected than one object may have dead letters."""


class TooManyIndicesError(PermanentError):
    """The lines of the object are spread over more indices than one object may make."""


class ObjectNotAlbError(PermanentError):
    """Most lines of the object are not ALB log lines."""


class NotificationError(PermanentError):
    """A message that should name an object cannot be understood, or names none."""


class AccountingError(PipelineError):
    """Lines read and lines accounted for differ: a defect of this package."""


class DefectError(PipelineError):
    """An exception that nobody foresaw, which is its cause: a defect of this package."""

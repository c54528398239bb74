"""What may go wrong, named by what the caller can do about it.

Every error is also the builtin that it resembles, and carries a stable `code` for machines beside its
words for people.
"""


class ServiceError(Exception):
    """Something that facefleet could not do; `code` is stable, the message says what to do next.

    `forcible`: a person may overrule it, and say so with the same request again.
    """

    code = "service_error"

    def __init__(self, detail: str, *, code: str | None = None, forcible: bool = False) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or type(self).code
        self.forcible = forcible


class BadSettings(ServiceError, ValueError):
    """A setting is unknown or has a value that cannot be used: correct the environment."""

    code = "bad_settings"


class BadImage(ServiceError, ValueError):
    """The bytes are not an image that can be used: send another; the same one fails again.

    `person_id`: whom the message names, so that it can be found, and goes, when they are erased.
    """

    code = "bad_image"

    def __init__(
        self, detail: str, *, code: str | None = None, forcible: bool = False, person_id: str | None = None
    ) -> None:
        super().__init__(detail, code=code, forcible=forcible)
        self.person_id = person_id


class BadPerson(ServiceError, ValueError):
    """An id, a name, attributes or encodings that nobody can have: correct what the message names."""

    code = "bad_person"


class BadFile(ServiceError, ValueError):
    """A file is not what it should be: correct what the message names, by its line where there are lines."""

    code = "bad_file"


class BadMessage(ServiceError, ValueError):
    """A message is not one of ours: it is poison, and trying again does not help."""

    code = "bad_message"


class NotFound(ServiceError, LookupError):
    """There is nothing under this name."""

    code = "not_found"


class Conflict(ServiceError, RuntimeError):
    """Somebody else changed it in between: read again, then decide again."""

    code = "conflict"


class TooLarge(ServiceError, ValueError):
    """It does not fit the limit that the message names: make it smaller."""

    code = "too_large"


class AlreadyRunning(ServiceError, RuntimeError):
    """Another process does this already, and only one may: stop that one first."""

    code = "already_running"


class Unavailable(ServiceError, ConnectionError):
    """A part of the outside world does not answer now: try again later."""

    code = "unavailable"


class NoCapacity(Unavailable):
    """The cloud has none of these instances left now: ask for others, and for these again in some minutes."""

    code = "no_capacity"


class Away(NoCapacity):
    """The cloud that this is of does not answer, and may have done it all the same: ask for what others have."""

    code = "away"


class Throttled(Unavailable):
    """We ask too often: ask again later, and less often."""

    code = "throttled"

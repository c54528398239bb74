"""What an address says: whose it is, who may read along, and what of it everybody may know."""

import ipaddress
from urllib.parse import urlsplit


def without_login(url: str) -> str:
    """As everybody may read it: `systemctl status` shows it to all."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def origin(url: str) -> str:
    """Scheme and host alone: of a presigned URL the rest is a secret. Raises `ValueError` for what is no URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def in_the_clear(url: str) -> bool:
    """Whether others than this machine may read along."""
    parts = urlsplit(url)
    return parts.scheme == "http" and not is_here(parts.hostname or "")


def is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def may_take(url: str, service: str) -> bool:
    """Whether a capture may go to a URL that the service gave: never less safely than it went to the service itself."""
    try:
        parts = urlsplit(url)
        is_whole = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False
    return is_whole and "@" not in parts.netloc and (not in_the_clear(url) or urlsplit(service).scheme == "http")

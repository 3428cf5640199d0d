"""What stands between a page and other people's pages: host names, origins, headers.

Promises: a request whose Host is not one of ours is refused before anything else
(a page that rebinds its own name to loopback gets nothing); whatever changes
something comes from our own origin; no page runs a script that is not a file of
ours.  Pure functions; app.py calls them.
"""

from urllib.parse import urlsplit

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})

CONTENT_SECURITY_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)

HEADERS = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not "no-referrer": browsers would then send `Origin: null` with our own forms.
    "Referrer-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TLS_HEADERS = {"Strict-Transport-Security": "max-age=31536000"}


def host_name(host: str) -> str:
    """A Host header without its port, lower case: `[::1]:8080` is `[::1]`."""
    end = host.find("]") if host.startswith("[") else -1
    name = host[: end + 1] if end > 0 else host.partition(":")[0]
    return name.lower()


def is_our_host(host: str, web_url: str, web_host: str) -> bool:
    """Loopback names, and what the configuration names."""
    known = LOOPBACK | {host_name(part) for part in (urlsplit(web_url).netloc, web_host) if part}
    return host_name(host) in known


def is_our_origin(origin: str | None, host: str, web_url: str) -> bool:
    """Whether a form was sent from a page of this very site.  No Origin at all is not good enough."""
    if not origin:
        return False
    outside = urlsplit(web_url)
    if outside.netloc and host.lower() == outside.netloc.lower():
        return origin.lower() == f"{outside.scheme}://{outside.netloc}".lower()
    return origin.lower() == f"http://{host}".lower()


def is_our_path(target: str) -> bool:
    """A path to go back to that stays on this site: `/money`, never `//elsewhere` or `/\\elsewhere`."""
    return (
        target.startswith("/")
        and not target.startswith(("//", "/\\"))
        and "\n" not in target
        and "\r" not in target
    )

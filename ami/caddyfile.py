"""What Caddy is told: TLS in front of the web tier. https://caddyserver.com/docs/caddyfile"""

from ami.userdata import Address

#: Where Caddy keeps certificates and what belongs to them; `ami.certificates` carries them from machine to machine.
STORAGE = "/var/lib/caddy/storage"
#: Options: it is steered by this file alone; no client learns of HTTP/3, which no security group lets in; connections
#: to a machine that goes are answered as long as the web tier drains; and no line of the log tells who asked for whom.
#: A request that the web tier did not accept, since it is just started again, is tried again; each has a connection of
#: its own, since one that the web tier closes just then takes an upload with it. A client of a web tier that stops is
#: told so, and to connect anew: the address may lead to the next machine by then.
#: Who asks for another host is refused; of itself, Caddy would answer that with an empty 200.
TEXT = """{{
	admin off
	storage file_system {storage}
	default_sni {host}
	skip_install_trust
	grace_period 150s
	log {{
		exclude http.log.error
	}}
	servers {{
		protocols h1 h2
		timeouts {{
			read_header 10s
			idle 5m
		}}
	}}
}}
https://{host} {{{tls}
	reverse_proxy 127.0.0.1:{port} {{
		lb_try_duration 10s
		lb_try_interval 200ms
		transport http {{
			keepalive off
		}}
	}}
	handle_errors {{
		header Connection close
		header Content-Type application/problem+json
		header Retry-After 5
		respond `{{"status": 503, "code": "unavailable", "detail": "the web tier starts or stops: send it again"}}` 503
	}}
}}
https:// {{
	respond "here is https://{host}/ and nobody else" 421
}}
"""
#: Nobody vouches for a bare address: Caddy is its own authority, whose root is kept as the blob `tls/root.crt`.
OWN_AUTHORITY = "\n\ttls internal"


def caddyfile(address: Address, port: str) -> str:
    """By its domain with a certificate of Let's Encrypt; without one by its address, with one of Caddy's own."""
    tls = "" if address.domain else OWN_AUTHORITY
    return TEXT.format(storage=STORAGE, host=address.domain or address.ip, port=port, tls=tls)

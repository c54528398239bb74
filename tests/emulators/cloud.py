"""EC2 and Auto Scaling on a loopback port, by moto; `GET /_counts` tells how many calls each operation had.

Run by the Python of `.emulators`, as `cloud.py PORT`. (A first form of it.)
"""

import json
import sys
from collections import Counter

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server
from werkzeug.wrappers import Request, Response

PORT = int(sys.argv[1])
COUNTS: Counter[str] = Counter()
MOTO = DomainDispatcherApplication(create_backend_app)


def counting(environ, start_response):
    if environ["PATH_INFO"] == "/_counts":
        return Response(json.dumps(COUNTS))(environ, start_response)
    COUNTS[Request(environ).form.get("Action", "?")] += 1
    return MOTO(environ, start_response)


if __name__ == "__main__":
    make_server("127.0.0.1", PORT, counting, threaded=True).serve_forever()

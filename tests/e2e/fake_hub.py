"""A hub that says whatever a test wants: it takes the place, the port and the certificate of a real one that was stopped."""
import http.server
import ssl
import threading
import time

import harness
from harness import field, fields, read


def desired(generation, artifact, name="e2e@1", digest=None, size=None, probation_ms=1):
    import hashlib
    return (field(1, generation) + field(2, digest or hashlib.sha256(artifact).hexdigest()) + field(3, name) +
            field(4, len(artifact) if size is None else size) + field(7, probation_ms) + field(77, "from the future"))


class FakeHub:
    """`response(request)` returns the bytes of an ExchangeResponse; `artifacts` maps digests to the bytes that are served."""

    def __init__(self, lab, hub):
        self.requests = []
        self.records = []
        self.artifacts = {}
        self.protocol = 1
        self.desired = b""
        self.extra = b""
        fake = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body, headers=()):
                self.send_response(status)
                for name, value in headers:
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                self.answer(*fake.post(body))

            def do_GET(self):
                artifact = fake.artifacts.get(self.path.rsplit("/", 1)[1])
                if artifact is None:
                    return self.answer(404, b"")
                first, last = (int(part) for part in self.headers["range"].removeprefix("bytes=").split("-"))
                piece = artifact[first:last + 1]
                self.answer(206, piece, [("content-range", f"bytes {first}-{first + len(piece) - 1}/{len(artifact)}")])

        server_pem = read(hub.data + "/server.pem")
        pem = harness.write(lab.path("server.pem"), server_pem[server_pem.index("-----BEGIN"):])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(pem)
        context.load_verify_locations(hub.data + "/admin/ca.pem")
        context.verify_mode = ssl.CERT_REQUIRED
        http.server.ThreadingHTTPServer.allow_reuse_address = True
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", hub.port), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None
        self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def post(self, body):
        return 200, self.exchange(body)

    def exchange(self, body):
        request = fields(body)
        out = (field(1, self.protocol) + field(2, "99.0") + field(3, int(time.time() * 1000)) + field(5, self.desired) +
               field(6, field(1, 1 << 30) + field(2, 100) + field(3, 1) + field(4, 1 << 20) + field(9, 7)) + self.extra)
        if self.protocol == 1:
            for number, stream in request:
                if number != 9:
                    continue
                parts = dict(pair for pair in fields(stream) if isinstance(pair[1], int))
                self.records += [value for key, value in fields(stream) if key == 4]
                out += field(4, field(1, parts[1]) + field(2, parts.get(3, 0)) + field(88, "new"))
        self.requests.append(request)
        return out

    def reported(self):
        """Reported of the newest request, as {number: last value}."""
        return dict(fields(dict(self.requests[-1])[7]))

    def close(self):
        self.server.shutdown()
        self.server.server_close()

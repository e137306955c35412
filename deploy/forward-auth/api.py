#!/usr/bin/env python3
"""An API that knows nothing of Sherpa. It answers each request with what has reached it, as JSON.

    python3 api.py [PORT]     default: 8000

It listens on the loopback address, as yours should: whoever reaches it past the proxy can be anybody.
"""
import base64
import hashlib
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class API(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # head and body leave together: else each answer takes 40 ms

    def answer(self):
        if self.headers.get("Upgrade", "").lower() == "websocket":
            return self.echo()
        length, trailers = read(self.rfile, int(self.headers.get("Content-Length", 0))), []
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            length, trailers = read_chunks(self.rfile)
        self.send(200, {
            "method": self.command, "path": self.path, "headers": self.headers.items(), "body_bytes": length,
            "trailers": trailers,
        })

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = answer

    def send(self, status, value):
        body = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def echo(self):
        """Answers a WebSocket handshake (RFC 6455, section 4.2.2), then sends back each byte as it comes."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accept = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accept)
        self.end_headers()
        self.close_connection = True
        self.wfile.flush()
        while data := self.rfile.read1():
            self.wfile.write(data)
            self.wfile.flush()


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # connections that wait


def read(stream, left):
    """Reads a body, and returns how many bytes have come."""
    count = 0
    while data := stream.read(min(left - count, 1 << 16)):
        count += len(data)
    return count


def read_chunks(stream):
    """Reads a chunked body (RFC 9112, section 7.1), and returns its length and the trailers behind it."""
    count, trailers = 0, []
    while size := int(stream.readline().split(b";")[0], 16):
        count += read(stream, size)
        stream.readline()
    while line := stream.readline().strip():
        trailers.append(line.decode("latin-1"))
    return count, trailers


if __name__ == "__main__":
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 8000
    Server(("127.0.0.1", port), API).serve_forever()

#!/usr/bin/env python3
"""Takes the screenshots of docs/images and the profiles of docs/profiles.md: `docs/screenshots.py FOLDER`.

Starts `examples/console`, lets its leak grow, and looks at it with Chromium and `go tool pprof` (Debian's `chromium` and `golang`). Nothing but Python's
own library: Chromium is told what to do by its DevTools protocol, over a WebSocket.
"""

import base64
import json
import os
import pathlib
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request

CONSOLE = "http://127.0.0.1:9090/debug/ebbtide"
PPROF = "127.0.0.1:9091"


class Page:
    """A page of a headless Chromium."""

    def __init__(self, profile):
        self.chromium = subprocess.Popen(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
             "--disable-sync", "--remote-debugging-port=9092", f"--user-data-dir={profile}", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        pages = json.loads(answer("http://127.0.0.1:9092/json"))
        path = next(page for page in pages if page["type"] == "page")["webSocketDebuggerUrl"].split(":9092", 1)[1]
        self.socket = socket.create_connection(("127.0.0.1", 9092))
        key = base64.b64encode(os.urandom(16)).decode()
        self.socket.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:9092\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode())
        self.stream = self.socket.makefile("rb")
        while self.stream.readline().strip():
            pass
        self.calls = 0

    def call(self, method, **parameters):
        """Sends a command, and waits for its result."""
        self.calls += 1
        text = json.dumps({"id": self.calls, "method": method, "params": parameters}).encode()
        mask = os.urandom(4)
        self.socket.sendall(b"\x81\xfe" + struct.pack(">H", len(text)) + mask
                            + bytes(byte ^ mask[at % 4] for at, byte in enumerate(text)))
        while True:
            length = self.stream.read(2)[1]
            if length >= 126:
                form = ">H" if length == 126 else ">Q"
                length, = struct.unpack(form, self.stream.read(struct.calcsize(form)))
            message = json.loads(self.stream.read(length))
            if message.get("id") == self.calls:
                return message["result"]

    def open(self, url, scheme, size=(1200, 1000)):
        width, height = size
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        self.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.call("Page.navigate", url=url)

    def shoot(self, file):
        file.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


def answer(url):
    """What stands at a URL, once somebody answers there."""
    for _ in range(100):
        try:
            return urllib.request.urlopen(url).read()
        except OSError:
            time.sleep(0.1)
    raise SystemExit(f"nobody answers at {url}")


def main(folder):
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["cargo", "build", "--release", "--example", "console"], check=True)
    target = os.environ.get("CARGO_TARGET_DIR", "target")
    running = [subprocess.Popen([f"{target}/release/examples/console"])]
    with tempfile.TemporaryDirectory() as profile:
        try:
            answer(CONSOLE)
            page = Page(profile)
            running.append(page.chromium)
            page.open(CONSOLE, "light")
            time.sleep(5)
            before = folder / "before.pb.gz"
            before.write_bytes(answer(f"{CONSOLE}/pprof"))
            time.sleep(15)
            page.shoot(folder / "console-light.png")
            page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
            page.shoot(folder / "console-dark.png")
            after = folder / "after.pb.gz"
            after.write_bytes(answer(f"{CONSOLE}/pprof"))
            with open(folder / "pprof.txt", "w") as out:
                for options in (["-top", "-cum"], ["-tags"], ["-top", "-cum", f"-diff_base={before}"],
                                ["-top", "-cum", "-sample_index=pool_outstanding_bytes"]):
                    out.write(" ".join(["$ go tool pprof", *options]).replace(f"{folder}/", "") + " after.pb.gz\n")
                    out.flush()
                    subprocess.run(["go", "tool", "pprof", *options, after], stdout=out, stderr=subprocess.DEVNULL, check=True)
                    out.write("\n")
                    out.flush()
            running.append(subprocess.Popen(["go", "tool", "pprof", f"-http={PPROF}", "-no_browser", after],
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True))
            answer(f"http://{PPROF}/ui/flamegraph")
            page.open(f"http://{PPROF}/ui/flamegraph", "light", (1200, 320))
            time.sleep(3)
            page.shoot(folder / "flamegraph.png")
        finally:
            for process in running:
                process.terminate()
            if len(running) == 3:
                os.killpg(running[2].pid, 15)  # `go tool` has started the viewer itself
            for process in running:
                process.wait()


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]))

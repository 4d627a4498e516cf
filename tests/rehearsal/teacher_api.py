#!/usr/bin/env python3
"""A teacher's server outside of the cluster: answers chat completions with recorded texts.

    teacher_api.py RECORDED.jsonl KEY ADDRESS:PORT GATE [ADDRESS:PORT GATE]...

GATE is a file that holds a number: rows from that one on are answered when the number has grown; `-`
answers everything at once. Prints a line when all listen.
"""
import http.server
import json
import sys
import threading
import time


ANSWER_S = 0.05  # what a server needs to think
LOOK_S = 0.05


def wait_at(gate, row):
    while gate != "-":
        with open(gate, encoding="utf-8") as f:
            if int(f.read() or 0) > row:
                return
        time.sleep(LOOK_S)


def handler(rows, key, gate):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            time.sleep(ANSWER_S if gate != "-" else 0)
            if self.headers["Authorization"] != "Bearer " + key:
                return self.answer(401, {"error": {"message": "no such key"}})
            asked = " ".join(m["content"] for m in body["messages"])
            row = next((i for i, r in enumerate(rows) if r["question"] in asked), None)
            if row is None:
                return self.answer(400, {"error": {"message": "no answer is recorded"}})
            wait_at(gate, row)
            text = rows[row]["text"]
            self.answer(200, {"choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": text}}],
                              "usage": {"prompt_tokens": 20, "completion_tokens": 10, "total_tokens": 30}})

        def answer(self, status, content):
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, *_):
            pass

    return Handler


def main():
    recorded, key, *places = sys.argv[1:]
    with open(recorded, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    for place, gate in zip(places[::2], places[1::2]):
        host, port = place.rsplit(":", 1)
        server = http.server.ThreadingHTTPServer((host, int(port)), handler(rows, key, gate))
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
    print("listening", flush=True)
    threading.Event().wait()


if __name__ == "__main__":
    main()

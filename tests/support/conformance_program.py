"""A program under test that can misbehave: ``python conformance_program.py PLAN.json``, as npscore conform runs it.

The plan is {"replies": {id: message}, "deeds": {id or "start" or "restart": deed}, "ready": message, "heard": file}:
what it answers, what it does instead, how it says that it is ready, and where it keeps a copy of every line it hears.
"""

import json
import os
import signal
import subprocess
import sys
import time


def say(message):
    print(json.dumps(message), flush=True)


def misbehave(deed, reply):
    """Do something that a program should not do; True where the answer still follows."""
    if deed == "crash":
        print("something is badly wrong", file=sys.stderr)
        sys.exit(3)
    if deed == "kill":
        os.kill(os.getpid(), signal.SIGKILL)
    if deed == "hang":
        time.sleep(1000)
    if deed == "hang with a child":
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(1000)"])
        print(f"child {child.pid}", file=sys.stderr, flush=True)
        time.sleep(1000)
    if deed == "half a line":
        sys.stdout.write(json.dumps(reply)[:20])
        sys.stdout.flush()
        time.sleep(1000)
    if deed == "close":
        os.close(1)
        time.sleep(1000)
    if deed == "flood":
        while True:
            print("x" * 100)
    if deed == "garbage":
        sys.stdout.buffer.write(
            b'loading weights\n\xff\xfe\x00\n[1, 2]\n"ready"\n{"type": "hello"}\n\n' + b"[" * 5000 + b"\n"
        )
        sys.stdout.flush()
    return deed == "garbage"


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        plan = json.load(file)
    deeds = plan.get("deeds", {})
    with open(plan["heard"], "a", encoding="ascii") as heard:
        for line in sys.stdin:
            heard.write(line)
            heard.flush()
            message = json.loads(line)
            if message["type"] == "stop":
                return
            again = "restart" in deeds and os.path.getsize(plan["heard"]) > len(line)
            id = message["case"]["id"] if message["type"] == "run" else "restart" if again else "start"
            reply = plan.get("ready", {"type": "ready"})
            if message["type"] == "run":
                reply = plan["replies"].get(id, {"type": "skipped", "reason": "not in the plan"})
            if id not in deeds or misbehave(deeds[id], reply):
                say(reply)


if __name__ == "__main__":
    main()
